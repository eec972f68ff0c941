/** Memory that changes hands: taken away from the caller, given back when the kernel has let go. */
import { usageError, ZcError } from "../errors.ts";

/** What the channel has, and gives back: nothing else can see the same bytes. */
export type Memory = Uint8Array<ArrayBuffer>;

/** Why a write failed. */
export class WriteError extends ZcError {
  /** The memory; empty where the kernel may still read it. */
  readonly buffers: readonly Memory[];
  /** How much of it the kernel had taken. */
  readonly bytes: number;

  constructor(cause: ZcError, buffers: readonly Memory[], bytes: number) {
    super(cause);
    this.buffers = buffers;
    this.bytes = bytes;
  }
}

/**
 * Takes the whole buffers under these views away: every view on them is empty from here on.
 * Returns views on the same memory, where the old ones were. Throws a WriteError (USAGE) where
 * memory cannot be had alone: it is shared, belongs to WebAssembly, or was taken before.
 */
export function take(views: readonly Uint8Array[]): Memory[] {
  const places = views.map(({ buffer, byteOffset, byteLength }) => {
    return { buffer, byteOffset, byteLength };
  });
  const taken = new Map<ArrayBufferLike, ArrayBuffer>();
  for (const { buffer } of places) {
    if (!taken.has(buffer)) taken.set(buffer, takeBuffer(buffer, [...taken.values()]));
  }
  return places.map(({ buffer, byteOffset, byteLength }) => {
    return new Uint8Array(taken.get(buffer) as ArrayBuffer, byteOffset, byteLength);
  });
}

function takeBuffer(buffer: ArrayBufferLike, before: readonly ArrayBuffer[]): ArrayBuffer {
  const reason = refusal(buffer);
  if (reason === undefined) {
    try {
      return (buffer as ArrayBuffer).transfer();
    } catch {
      // WebAssembly's cannot be told apart before.
    }
  }
  const why = reason ?? "its memory cannot be taken away: WebAssembly's, perhaps";
  const giveBack = before.map((other) => new Uint8Array(other));
  throw new WriteError(usageError("write", why), giveBack, 0);
}

function refusal(buffer: ArrayBufferLike): string | undefined {
  if (!(buffer instanceof ArrayBuffer)) return "its memory is shared: others could change it";
  return buffer.detached ? "its memory was given away before" : undefined;
}
