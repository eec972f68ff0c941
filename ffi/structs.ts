/** The structs and constants of c/zc.h, under their C names. */
import { Struct } from "./struct.ts";

export const jobState = { running: 0, ended: 1 } as const;
export const jobSide = { none: 0, source: 1, sink: 2 } as const;
export const jobEnd = {
  none: 0,
  eof: 1,
  limit: 2,
  closed: 3,
  acknowledged: 4,
  ready: 5,
} as const;

export const mover = {
  copy: 0,
  sendfile: 1,
  splice: 2,
  msgZerocopy: 3,
  ioUringSend: 4,
  tcpZerocopy: 5,
  ioUringReceive: 6,
  zcrx: 7,
  discard: 8,
} as const;
export type MoverName = keyof typeof mover;
export const moveFlag = { required: 1, sparse: 2, adapt: 4, notices: 8 } as const;
export const memoryFlag = { huge: 1, touch: 2 } as const;
export const digestAlgorithm = { xxh3: 1, sha256: 2 } as const;
export const digestSizeMax = 32;

export const statsStruct = new Struct("zc_stats", {
  state: "u64",
  error: "u64",
  side: "u64",
  end: "u64",
  bytes: "u64",
  calls: "u64",
  sends: "u64",
  completions: "u64",
  copied: "u64",
  unknown: "u64",
  notifications: "u64",
  joined: "u64",
  unordered: "u64",
  retries: "u64",
  fallbacks: "u64",
  discarded: "u64",
  pending: "u64",
  uncopied: "u64",
  untold: "u64",
  lent: "u64",
  returned: "u64",
  holes: "u64",
  began_ns: "i64",
  first_ns: "i64",
  last_ns: "i64",
  ended_ns: "i64",
});

export const moveStruct = new Struct("zc_move", {
  digest: "i64",
  memory: "i64",
  limit: "u64",
  duration: "u64",
  interval: "u64",
  start_ns: "i64",
  request: "u64",
  rate: "u64",
  chunk: "u64",
  depth: "u32",
  pipe_size: "u32",
  mover: "u32",
  flags: "u32",
  interface: "u32",
  queue: "u32",
  source: "i32",
  sink: "i32",
  event_fd: "i32",
  answer: "i32",
});

export const relaySide = { near: 1, far: 2 } as const;

export const flowStruct = new Struct("zc_flow", {
  bytes: "u64",
  calls: "u64",
  missed: "u64",
  ended: "u64",
});

export const relayStruct = new Struct("zc_relay", {
  flows: "u64",
  pipe_size: "u32",
  near: "i32",
  far: "i32",
  tee_forth: "i32",
  tee_back: "i32",
  event_fd: "i32",
});

export const histogramBuckets = 56_320;

export const answersStruct = new Struct("zc_answers", {
  interval: "u64",
  start_ns: "i64",
  counts: "u64",
  fd: "i32",
  event_fd: "i32",
});

export const datagramsFlag = { wide: 1, headers: 2 } as const;

export const datagramsStruct = new Struct("zc_datagrams", {
  memory: "i64",
  size: "u64",
  limit: "u64",
  duration: "u64",
  rate: "u64",
  burst: "u32",
  flags: "u32",
  fd: "i32",
  event_fd: "i32",
});

export const arrivalsStruct = new Struct("zc_arrivals", {
  datagrams: "u64",
  highest: "u64",
  lost: "u64",
  out_of_order: "u64",
  malformed: "u64",
  jitter_ns: "u64",
});

export const arrivalsOptionsStruct = new Struct("zc_arrivals_options", {
  arrivals: "u64",
  size: "u64",
  flags: "u32",
  fd: "i32",
  event_fd: "i32",
  reserved: "u32",
});

export const channelFlag = { required: 1, adapt: 2, copy: 4, ioUring: 8 } as const;
export const channelDepthMax = 1024;
export const channelPartsMax = 16;
/** The tag of an error that belongs to no write any more. */
export const noTag = 0;

export const channelStruct = new Struct("zc_channel", {
  piece: "u64",
  worthwhile: "u64",
  fd: "i32",
  event_fd: "i32",
  depth: "u32",
  flags: "u32",
});

export const completionStruct = new Struct("zc_completion", {
  tag: "u64",
  bytes: "u64",
  held_ns: "i64",
  uncopied: "u32",
  copied: "u32",
  unknown: "u32",
  error: "u32",
  held: "u32",
  reserved: "u32",
});

export const noticeStruct = new Struct("zc_notice", {
  read_ns: "i64",
  latency_ns: "i64",
  stamp_s: "i64",
  stamp_ns: "i64",
  origin: "u32",
  error: "u32",
  type: "u32",
  code: "u32",
  info: "u32",
  data: "u32",
  hardware: "u32",
  reserved: "u32",
  offender: "bytes",
});

export const watchStruct = new Struct("zc_watch", {
  fd: "i32",
  event_fd: "i32",
  follow: "u32",
  reserved: "u32",
});

export const waitStruct = new Struct("zc_wait", {
  timeout_ms: "i64",
  fd: "i32",
  events: "u32",
  event_fd: "i32",
  reserved: "u32",
});

export const finishStruct = new Struct("zc_finish", {
  linger_ms: "i64",
  fd: "i32",
  event_fd: "i32",
});

export const fdStruct = new Struct("zc_fd", {
  size: "i64",
  position: "i64",
  device: "u64",
  mode: "u32",
  flags: "u32",
  domain: "u32",
  type: "u32",
  protocol: "u32",
  block: "u32",
});

export const readerStruct = new Struct("zc_reader", {
  ring: "u64",
  size: "u64",
  fd: "i32",
  event_fd: "i32",
});

export const ramRegisters = 16_384;

export const ramChannel = { main: 0, urgent: 1 } as const;

export const ramStop = {
  more: 0,
  end: 1,
  flush: 2,
  sizes: 3,
  compressed: 4,
  badFlags: 5,
  badContinue: 6,
  badBlock: 7,
  badOffset: 8,
  badFill: 9,
  badXbzrle: 10,
} as const;

export const ramScanStruct = new Struct("zc_ram_scan", {
  consumed: "u64",
  offset: "u64",
  flags: "u32",
  stop: "u32",
  block: "u32",
  reserved: "u32",
});

export const ramCountsStruct = new Struct("zc_ram_counts", {
  normal: "u64",
  zero: "u64",
  xbzrle: "u64",
  again: "u64",
  empty: "u64",
  bytes: "u64",
});

export const ramRecordsStruct = new Struct("zc_ram_records", {
  ram: "u64",
  block: "u32",
  sink: "i32",
  event_fd: "i32",
  reserved: "u32",
});

export const ramPacketStruct = new Struct("zc_ram_packet", {
  offsets: "u64",
  pages: "u64",
  normal: "u32",
  zero: "u32",
});

export const linkStruct = new Struct("zc_link", {
  size_max: "u64",
  held_max: "u64",
  fd: "i32",
  event_fd: "i32",
});

export const messageStruct = new Struct("zc_message", {
  size: "u64",
  flags: "u32",
  fd_count: "u32",
  fds_lost: "u32",
  reserved: "u32",
  fds: "bytes",
  reserved_too: "u32",
});

export const regionStruct = new Struct("zc_region", {
  address: "u64",
  size: "u64",
  dirty: "u64",
  index: "u32",
  flags: "u32",
  count_max: "u32",
  reserved: "u32",
});

export const linkDataStruct = new Struct("zc_link_data", {
  link: "i64",
  limit: "u64",
  size: "u32",
  fd: "i32",
  event_fd: "i32",
  reserved: "u32",
});

export const linkCallsStruct = new Struct("zc_link_calls", {
  link: "i64",
  request: "u64",
  request_size: "u64",
  limit: "u64",
  duration: "u64",
  counts: "u64",
  depth: "u32",
  event_fd: "i32",
});

/** ZC_MESSAGE_SIZE_BAD */
export const messageSizeBad = 1;
export const regionFlag = { read: 1, write: 2 } as const;

export const vfioStruct = new Struct("zc_vfio", {
  request: "u64",
  argument: "u64",
  fd: "i32",
  event_fd: "i32",
});
