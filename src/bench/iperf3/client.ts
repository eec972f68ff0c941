/** One test of an iperf3 server: we send to it, or it sends to us. */
import manifest from "../../../package.json";
import type { Address } from "../../address/index.ts";
import type { Connection } from "../../endpoint/connection.ts";
import { bufferOf } from "../../endpoint/settings.ts";
import { pause } from "../../run-job.ts";
import type { SourceMemory } from "../../transfer/memory.ts";
import type { ReceiveMode, SendMode } from "../../transfer/plan.ts";
import { openNull } from "../receiver.ts";
import type { Control } from "./control.ts";
import { makeCookie } from "./cookie.ts";
import { expectState, whileSilent } from "./expect.ts";
import { Flows, type StartFlow, stalled } from "./flow.ts";
import { malformed } from "./malformed.ts";
import { openControl, openDatagrams, openStream } from "./open.ts";
import { encodeParameters, type TestParameters } from "./parameters.ts";
import { encodeResults, parseResults, resultsFrame, type TestResults } from "./results.ts";
import { encodeState } from "./states.ts";
import { type Counted, Tally, toResults } from "./tally.ts";
import { receiver, sender } from "./tcp-flow.ts";
import { datagramReceiver, datagramSender } from "./udp-flow.ts";

export interface ClientTest {
  /** TCP's: datagrams go to the same port. */
  readonly address: Address;
  readonly protocol: "tcp" | "udp";
  /** The server sends. */
  readonly reverse: boolean;
  readonly streams: number;
  /** Bytes a call of the sender. */
  readonly size: number;
  /** How much, of all streams together, or how long. */
  readonly bytes?: number | undefined;
  readonly seconds?: number | undefined;
  /** How we send; a server that sends knows copy and sendfile. */
  readonly mode: SendMode;
  /** How we receive. */
  readonly receiveMode: ReceiveMode;
  /** A stream's, where we send. */
  readonly memories: readonly SourceMemory[];
  /** TCP's maximum segment size, at both ends; bytes. */
  readonly mss?: number | undefined;
  /** Bytes of the sender's sockets' buffers, and of the receiver's. */
  readonly sndbuf?: number | undefined;
  readonly rcvbuf?: number | undefined;
  readonly peerProcessor?: number | undefined;
  /** How long to go on where the server does not take a test yet. */
  readonly retryMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Tested {
  readonly ours: Counted;
  readonly theirs: TestResults;
  /** Bytes of a socket's buffer here. */
  readonly buffer: number;
}

const stateMsMax = 30_000;
/** A server may have to read what is on the way before it hears that the test is over. */
const endMsMax = 60_000;
const stallMsMax = 30_000;

/** Throws what kept it from going on: ours, or the server's. */
export async function runTest(test: ClientTest): Promise<Tested> {
  const { address, retryMs, signal } = test;
  const open = { cookie: makeCookie(), retryMs, signal };
  const control = await openControl(address, open);
  const connections: Connection[] = [];
  try {
    await control.send(encodeParameters(parametersOf(test)), signal);
    await expectState(control, "CREATE_STREAMS", { ms: stateMsMax, signal });
    const { mss } = test;
    const settings = test.reverse ? { mss, rcvbuf: test.rcvbuf } : { mss, sndbuf: test.sndbuf };
    const openNext = test.protocol === "udp" ? openDatagrams : openStream;
    while (connections.length < test.streams)
      connections.push(await openNext(control, settings, open));
    return await measure(control, connections, test);
  } finally {
    control.tryToSend(encodeState(signal?.aborted ? "CLIENT_TERMINATE" : "IPERF_DONE"));
    for (const connection of connections) connection.close();
    await control.close();
  }
}

async function measure(
  control: Control<"server">,
  connections: readonly Connection[],
  test: ClientTest,
): Promise<Tested> {
  const { reverse, signal } = test;
  await expectState(control, "TEST_START", { ms: stateMsMax, signal });
  await expectState(control, "TEST_RUNNING", { ms: stateMsMax, signal });
  using sink = openNull();
  const starts = connections.map((connection, index) => {
    if (test.protocol === "udp") return datagramFlowOf(connection, index, test);
    return flowOf(connection, index, sink.fd, test);
  });
  const flows = new Flows(starts, signal);
  try {
    const tally = new Tally(flows);
    await whileSilent(control, signal, (either) => end(flows, test, either));
    const ours = tally.take();
    const buffer = bufferHere(connections, reverse);
    // What still comes is read, and not counted: the server may be in the middle of a write.
    return { ours, theirs: await exchange(control, ours, signal), buffer };
  } finally {
    await flows.stop();
  }
}

async function exchange(
  control: Control<"server">,
  ours: Counted,
  signal: AbortSignal | undefined,
): Promise<TestResults> {
  const limit = { ms: endMsMax, signal };
  await control.say("TEST_END", signal);
  await expectState(control, "EXCHANGE_RESULTS", limit);
  await control.send(encodeResults(toResults(ours)), signal);
  const theirs = parseResults(await control.receive(resultsFrame, limit));
  assertSameStreams(ours, theirs);
  await expectState(control, "DISPLAY_RESULTS", limit);
  return theirs;
}

function assertSameStreams(ours: Counted, theirs: TestResults): void {
  const [expected, found] = [ours, theirs].map(({ streams }) => streams.map(({ id }) => id).join());
  if (expected !== found) throw malformed("results", `streams ${expected}`, `${found}`);
}

function parametersOf(test: ClientTest): TestParameters {
  const { protocol, seconds = 0 } = test;
  // A server that stops there would leave us waiting for what was lost.
  const bytes = (test.reverse && protocol === "udp" ? 0 : test.bytes) ?? 0;
  return {
    protocol,
    direction: test.reverse ? "reverse" : "forward",
    streams: test.streams,
    blockSize: test.size,
    ...{ omitSeconds: 0, seconds, bytes, blocks: 0 },
    ...{ rate: 0, pacingRate: 0, burst: 0, mss: test.mss ?? 0, tos: 0 },
    socketBuffer: (test.reverse ? test.sndbuf : test.rcvbuf) ?? 0,
    noDelay: false,
    zerocopy: test.reverse && test.mode === "sendfile",
    ...{ skipReceiveCopy: false, dontFragment: false, getServerOutput: false },
    wideCounters: protocol === "udp",
    serverProcessor: test.peerProcessor,
    clientVersion: `zc ${manifest.version}`,
  };
}

function flowOf(connection: Connection, index: number, sink: number, test: ClientTest): StartFlow {
  const { reverse, mode, receiveMode, size, memories, bytes, seconds, streams } = test;
  if (reverse) return receiver(connection, { mode: receiveMode, sink });
  return sender(connection, {
    ...{ mode, size, memory: memories[index] },
    // Since 3.16 a server counts whole blocks only.
    bytes: bytes === undefined ? undefined : Math.ceil(bytes / streams / size) * size,
    durationMs: seconds === undefined ? undefined : seconds * 1e3,
  });
}

function datagramFlowOf(connection: Connection, index: number, test: ClientTest): StartFlow {
  const { reverse, size, memories, bytes, seconds, streams } = test;
  const isWide = true;
  if (reverse) return datagramReceiver(connection, { size, isWide, headersOnly: false });
  return datagramSender(connection, {
    ...{ size, isWide, memory: memories[index] },
    count: bytes === undefined ? undefined : Math.ceil(bytes / streams / size),
    durationMs: seconds === undefined ? undefined : seconds * 1e3,
  });
}

/** Who sends knows when it is over; who receives looks. */
function end(flows: Flows, test: ClientTest, signal: AbortSignal): Promise<unknown> {
  const watched = Promise.race([flows.ended, stalled(flows, stallMsMax, signal)]);
  return test.reverse ? Promise.race([watched, received(flows, test, signal)]) : watched;
}

const lookMs = 5;

/** Until so much has come, or for so long. */
async function received(
  flows: Flows,
  { bytes, seconds = 0 }: ClientTest,
  signal: AbortSignal,
): Promise<void> {
  if (bytes === undefined) return pause(seconds * 1e3, signal);
  while (flows.bytes(false) < bytes) await pause(lookMs, signal);
}

function bufferHere([first]: readonly Connection[], reverse: boolean): number {
  return first === undefined ? 0 : bufferOf(first.fd, first.domain, reverse ? "receive" : "send");
}
