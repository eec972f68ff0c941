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
export type {
  AddressRange,
  DataMoved,
  DeviceFacts,
  MigratableDevice,
  MigrationData,
  MigrationFeatures,
  PrecopyInfo,
} from "./vfio/device.ts";
export { type Migrated, type MigrateOptions, migrateDevice } from "./vfio/migrate.ts";
export { openDevice } from "./vfio/open.ts";
export { type PrecopyOptions, type PrecopyResult, precopy } from "./vfio/precopy.ts";
export type { Recovery } from "./vfio/recover.ts";
export { type Resumed, type ResumeOptions, resumeDevice } from "./vfio/resume.ts";
export { type Saved, type SaveOptions, type SaveSink, saveDevice } from "./vfio/save.ts";
export { type DeviceState, deviceStates, pathBetween } from "./vfio/states.ts";
export {
  type Client as VfioUserClient,
  type ClientOptions as VfioUserClientOptions,
  connectClient as connectVfioUser,
} from "./vfio-user/client.ts";
export {
  type PciBar,
  type PciCapability,
  PciConfig,
  type PciIdentity,
} from "./vfio-user/devices/pci-config.ts";
export { type DeviceReport, inspectDevice } from "./vfio-user/inspect.ts";
export { Refusal } from "./vfio-user/refusal.ts";
export type {
  Bus,
  CallbackRegion,
  DeviceMigration,
  DeviceRegion,
  MemoryRegion,
  RegionMapping,
  ResetReason,
  VirtualDevice,
} from "./vfio-user/server/device.ts";
export { pciInterrupts, pciRegions } from "./vfio-user/server/device.ts";
export { type ServeOptions, serveDevice } from "./vfio-user/server/serve.ts";
export { SharedMemory } from "./vfio-user/shared-memory.ts";
export {
  type TracedMessage,
  type TraceOptions,
  trace as traceVfioUser,
} from "./vfio-user/trace.ts";
