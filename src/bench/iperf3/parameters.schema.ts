/**
 * The parameters in JSON. Not here, since nothing is done with them: pacing_timer, flowlabel,
 * repeating_payload, extra_data, authtoken, congestion_used, mptcp, gso…, gro….
 */
import * as z from "zod";
import { flag, text, whole } from "./fields.ts";
import type { FrameKind } from "./frame.ts";

/** As much as iperf3 takes since 3.18. */
export const parametersFrame: FrameKind = { name: "parameters", max: 8192 };

/** iperf.h: DURATION, DEFAULT_TCP_BLKSIZE, DEFAULT_UDP_BLKSIZE. */
export const defaults = { seconds: 10, tcpBlockSize: 128 << 10, udpBlockSize: 1460 } as const;

/** iperf.h: MAX_, MIN_UDP_BLOCKSIZE, and of the newest version where they differ. */
export const limits = {
  seconds: 86_400,
  streams: 128,
  blockSize: 1 << 20,
  datagramMin: 16,
  datagramMax: 65_507,
  burst: 1000,
  socketBuffer: 512 << 20,
  mss: 32_767,
} as const;

const count = whole(0, Number.MAX_SAFE_INTEGER).default(0);
const duration = whole(0, limits.seconds);
const off = flag.default(false);
/** TCP_CA_NAME_MAX, with a NUL. */
const congestionName = /^[\w-]{1,15}$/;

export const parametersSchema = z.object(
  {
    tcp: off,
    udp: off,
    sctp: off,
    omit: duration.default(0),
    server_affinity: whole(0, 1024).optional(),
    time: duration.default(defaults.seconds),
    num: count,
    blockcount: count,
    MSS: whole(0, limits.mss).default(0),
    nodelay: off,
    parallel: whole(1, limits.streams).default(1),
    reverse: off,
    bidirectional: off,
    window: whole(0, limits.socketBuffer).default(0),
    len: whole(1, limits.blockSize).optional(),
    bandwidth: count,
    fqrate: count,
    burst: whole(0, limits.burst).default(0),
    TOS: whole(0, 255).default(0),
    title: text(parametersFrame.max).optional(),
    congestion: z.string("text").regex(congestionName, "an algorithm's name").optional(),
    get_server_output: off,
    udp_counters_64bit: off,
    zerocopy: off,
    dont_fragment: off,
    skip_rx_copy: off,
    client_version: text(parametersFrame.max).optional(),
  },
  "an object",
);
export type WireParameters = z.output<typeof parametersSchema>;
