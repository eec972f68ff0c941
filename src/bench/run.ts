/** One run of one cell: both ends told, waited for, and put together. */
import { type Address, formatAddress, parseAddress } from "../address/index.ts";
import { usageError, ZcError } from "../errors.ts";
import { type EndHandle, EndLost } from "./end-handle.ts";
import { datagramMax } from "./matrix.ts";
import type { Received, Sent } from "./messages.ts";
import { newToken } from "./opening.ts";
import { rateOf } from "./rate.ts";
import type { Cell, Run } from "./result.ts";
import type { Outcome, RunOptions } from "./rig.ts";

export interface Ends {
  readonly sender: EndHandle;
  readonly receiver: EndHandle;
  /** Where the receiver is reached; undefined: it is here, and says so itself. */
  readonly address: Address | undefined;
}

/** For what takes no time by itself. */
export const answerMsMax = 15_000;

/** Throws why it cannot be, or was not completed. */
export async function runCell(
  { sender, receiver, address }: Ends,
  cell: Cell,
  options: RunOptions,
): Promise<Outcome> {
  const { transport, mode, receiveMode, size } = cell;
  if (transport === "udp" && size > datagramMax)
    throw usageError(`${size} bytes`, `a datagram has at most ${datagramMax}`);
  const { streams, mss, bytes, durationMs, requestsPerSecond: perSecond } = options;
  if (transport === "udp" && perSecond !== undefined)
    throw usageError("--latency", "a datagram that is lost has no answer");
  const token = newToken();
  const answer = perSecond === undefined ? undefined : { token: newToken(), request: size };
  const { sndbuf, rcvbuf } = { ...buffersFor(cell), ...definedOnly(options) };
  const receiving = { do: "receive", token, transport, mode: receiveMode, streams, mss } as const;
  const { addresses } = await receiver.ask({ ...receiving, rcvbuf, answer }, "listen", answerMsMax);
  const to = address === undefined ? addresses : reachable(addresses, address);
  const requests =
    answer && perSecond !== undefined ? { token: answer.token, perSecond } : undefined;
  const sending = {
    do: "send",
    ...{ token, to, mode, size, streams, mss, bytes, durationMs, sndbuf, requests },
  } as const;
  const sent = await settled(sender.ask(sending, "send"));
  if (sent.error !== undefined || transport === "udp") await receiver.tell({ do: "stop" });
  const received = await settled(receiver.answer("receive", answerMsMax));
  if (sent.error !== undefined || received.error !== undefined)
    throw worstOf([sent.error, received.error]);
  return {
    run: runOf(transport, sent.value, received.value),
    buffers: { sender: sent.value.buffer, receiver: received.value.buffer },
  };
}

/** A machine does not know by which name it is reached, only its ports. */
function reachable(addresses: readonly string[], address: Address): string[] {
  if (addresses.length === 0) return [formatAddress(address)];
  return addresses.map((text) => {
    const { port } = { port: 0, ...parseAddress(text) };
    return formatAddress({ ...address, port } as Address);
  });
}

/** A zero-copy send over vsock needs credit for all of it; how often that runs out is up to these. */
const vsockSends = 64;
const vsockBufferMin = 4 << 20;
const vsockBufferMax = 256 << 20;
/** Where the kernel does not adapt them by itself, as TCP does; it lowers what is too much. */
const bufferDefault = 4 << 20;

/** Both ends' buffers; TCP's, where nothing is said, grow as they are used. */
function buffersFor({ transport, size }: Cell): { sndbuf?: number; rcvbuf?: number } {
  if (transport === "tcp") return {};
  if (transport !== "vsock") return { sndbuf: bufferDefault, rcvbuf: bufferDefault };
  const buffer = Math.min(Math.max(vsockSends * size, vsockBufferMin), vsockBufferMax);
  return { sndbuf: buffer, rcvbuf: buffer };
}

function definedOnly({ sndbuf, rcvbuf }: RunOptions): { sndbuf?: number; rcvbuf?: number } {
  return { ...(sndbuf !== undefined && { sndbuf }), ...(rcvbuf !== undefined && { rcvbuf }) };
}

function runOf(transport: string, sent: Sent, received: Received): Run {
  const isDatagrams = transport === "udp";
  // Datagrams have no end: how long they were sent for is the surer time. What was taken by one call
  // took the receiver none.
  const seconds = isDatagrams ? sent.seconds : received.seconds || sent.seconds;
  const { bytes, uncopied } = received;
  const { sends, completions, copied, unknown, notifications, retries, retransmits } = sent;
  return {
    bytes,
    seconds,
    bytesPerSecond: rateOf(bytes, seconds),
    sender: sideOf(sent),
    receiver: sideOf(received),
    zerocopy: {
      ...{ sends, completions, copied, unknown, notifications, retries },
      ...(uncopied !== undefined && { received: uncopied }),
    },
    ...(retransmits !== undefined && { retransmits }),
    ...(sent.latency !== undefined && { latency: sent.latency }),
    ...(isDatagrams && { lostShare: 1 - bytes / sent.bytes }),
  };
}

/** An end that has gone, or cannot do what it was told, explains what the other one says. */
function worstOf(errors: readonly unknown[]): unknown {
  const given = errors.filter((error) => error !== undefined);
  const lost = given.find((error) => error instanceof EndLost);
  return lost ?? given.find(isUnsupported) ?? given[0];
}

function isUnsupported(error: unknown): boolean {
  return error instanceof ZcError && error.code === "UNSUPPORTED";
}

function sideOf({ user, system, calls }: Sent | Received): Run["sender"] {
  return { user, system, calls };
}

type Settled<T> =
  | { readonly value: T; readonly error: undefined }
  | { readonly error: NonNullable<unknown> };

async function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { value: await promise, error: undefined };
  } catch (error) {
    return { error: error ?? new Error("failed") };
  }
}
