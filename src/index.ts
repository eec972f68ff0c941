/** zc as a library, under Bun: everything that the commands do, as typed calls. */
export { type Address, formatAddress, parseAddress } from "./address/index.ts";
export { type BenchOptions, type BenchProgress, bench } from "./bench/bench.ts";
export type { BenchResult, MeasuredCell, Run } from "./bench/result.ts";
export { verdictsOf } from "./bench/verdict.ts";
export {
  Channel,
  type ChannelCounters,
  type ChannelOptions,
  type Completion,
  openChannel,
} from "./channel/channel.ts";
export { WriteError } from "./channel/memory.ts";
export { diagnose, type Finding, type Verdict } from "./doctor/index.ts";
export { type ConnectOptions, connect } from "./endpoint/connect.ts";
export type { Connection } from "./endpoint/connection.ts";
export { type Listener, listen } from "./endpoint/listen.ts";
export type { SocketSettings } from "./endpoint/settings.ts";
export { type ErrorCode, ZcError } from "./errors.ts";
export {
  drainSocket,
  type ForeignSocket,
  type SocketState,
  watchSocket,
} from "./errq/inspect.ts";
export type { Notice } from "./errq/notice.ts";
export { sendWatched, type WatchedSendOptions, type WatchSummary } from "./errq/send.ts";
export { Ram, type RamCounts } from "./migration/ram/ram.ts";
export { type ReadElementsOptions, readElements } from "./migration/reading/read-elements.ts";
export type { Described } from "./migration/stream/describer.ts";
export type { Block, Element, Section } from "./migration/stream/elements.ts";
export { StreamParser } from "./migration/stream/parser.ts";
export type { Flow, Flows } from "./relay/flows.ts";
export { type JoinOptions, join, type LiveJoin } from "./relay/join.ts";
export { type RelayAllOptions, type RelayOptions, relay, relayAll } from "./relay/relay.ts";
export type { RelaySummary } from "./relay/summary.ts";
export type { LiveTransfer, TransferOptions } from "./transfer/options.ts";
export {
  type ReceiveOptions,
  receive,
  receiveAll,
} from "./transfer/receive.ts";
export { type SendOptions, send } from "./transfer/send.ts";
export type { Summary } from "./transfer/summary.ts";
export { decodeVsockPages, type VsockPacket } from "./transfer/vsock-pages.ts";
