/** What a peer sent and should not have, and how to read structs without believing what they say. */
import { ZcError } from "../../errors.ts";
import type { RecordFields, RecordLayout, RecordValues } from "../../vfio/record.ts";

export interface MalformedDetails {
  /** From the begin of what was decoded: a header, a payload, a feature's data. Bytes. */
  readonly offset: number;
  readonly expected: string;
  readonly found: string;
}

/** Exit code 4. The only error of the decoders; it has numbers of a peer's, but none of its text. */
export class Malformed extends ZcError {
  readonly offset: number;
  readonly expected: string;
  readonly found: string;

  constructor({ offset, expected, found }: MalformedDetails) {
    super({
      code: "PROTOCOL",
      operation: "decode a vfio-user message",
      reason: `expected ${expected} at offset 0x${offset.toString(16)}, found ${found}`,
    });
    this.offset = offset;
    this.expected = expected;
    this.found = found;
  }
}

/** What begins at `at`; more may follow. Throws Malformed. */
export function decodeStruct<const F extends RecordFields>(
  layout: RecordLayout<F>,
  name: string,
  payload: Uint8Array,
  at = 0,
): RecordValues<F> {
  const left = Math.max(payload.length - at, 0);
  if (left < layout.size)
    throw new Malformed({
      offset: at,
      expected: `${name} of ${layout.size} bytes`,
      found: `${left} bytes`,
    });
  return layout.decode(payload, at);
}

/** So many structs, one behind the other. Throws Malformed where the payload holds fewer. */
export function decodeStructs<const F extends RecordFields>(
  layout: RecordLayout<F>,
  name: string,
  payload: Uint8Array,
  at: number,
  count: number,
): RecordValues<F>[] {
  const room = Math.floor((payload.length - at) / layout.size);
  if (count > room)
    throw new Malformed({ offset: at, expected: `${count} ${name}`, found: `room for ${room}` });
  return Array.from({ length: count }, (_, index) =>
    layout.decode(payload, at + index * layout.size),
  );
}

/** All that follows, which must be as long as its struct says. Borrowed. Throws Malformed. */
export function decodeData(payload: Uint8Array, at: number, count: number | bigint): Uint8Array {
  const data = payload.subarray(at);
  if (BigInt(count) !== BigInt(data.length))
    throw new Malformed({
      offset: at,
      expected: `${count} bytes of data`,
      found: `${data.length}`,
    });
  return data;
}

/** `argsz` where a peer must have counted what it has sent, or will take. Throws Malformed. */
export function checkArgsz(argsz: number, min: number): void {
  if (argsz < min)
    throw new Malformed({ offset: 0, expected: `an argsz of ${min} or more`, found: `${argsz}` });
}
