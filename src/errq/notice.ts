/** Messages of an error queue, by what they are about. Pure. */
import type { RawNotice } from "../../ffi/notices.ts";
import { decodeSockaddr } from "../address/sockaddr.ts";
import { errnoName } from "../errors.ts";

/** The JSON lines of `zc errq`; their schema is notice.schema.ts. */
export type Notice = ZerocopyNotice | ErrorNotice | StampNotice | TxtimeNotice | OtherNotice;

/** Documentation/networking/msg_zerocopy.rst: the kernel has let go of these sends. */
export interface ZerocopyNotice {
  readonly origin: "zerocopy";
  /** Ids of sends, from the first to the last; they wrap at 2^32. */
  readonly lo: number;
  readonly hi: number;
  readonly count: number;
  /** Of a joined range this is the first send's flag: the kernel keeps no other. */
  readonly copied: boolean;
  readonly exact: boolean;
  /** From the first send to the reading of this; nanoseconds. Not where others have sent. */
  readonly latencyNs?: number;
}

/** ip(7), IP_RECVERR. */
export interface ErrorNotice {
  readonly origin: "local" | "icmp" | "icmp6";
  readonly errno: string;
  readonly type: number;
  readonly code: number;
  /** Who said so. */
  readonly offender?: string;
}

/** Documentation/networking/timestamping.rst. */
export interface StampNotice {
  readonly origin: "timestamping";
  readonly stage: "sched" | "sent" | "acked" | "completed";
  /** Of UDP the number of the send, of TCP that of its last byte. */
  readonly id: number;
  /** After the full second in which the watch began, by the clock that is named. */
  readonly ns: number;
  readonly clock: "system" | "card";
}

/** tc-etf(8): a packet that was not sent at its time. */
export interface TxtimeNotice {
  readonly origin: "txtime";
  readonly code: "missed" | "invalid-param" | number;
  /** The time that was asked for, ns; too large for a JSON number. */
  readonly txtime: string;
}

/** An origin that this version does not know. */
export interface OtherNotice {
  readonly origin: number;
  readonly errno: string;
  readonly type: number;
  readonly code: number;
  readonly info: number;
  readonly data: number;
}

/** linux/errqueue.h: SO_EE_ORIGIN_, SCM_TSTAMP_, SO_EE_CODE_TXTIME_ */
const origins = { local: 1, icmp: 2, icmp6: 3, timestamping: 4, zerocopy: 5, txtime: 6 } as const;
const stages = ["sent", "sched", "acked", "completed"] as const;
const txtimeCodes: Record<number, "invalid-param" | "missed" | undefined> = {
  1: "invalid-param",
  2: "missed",
};
const copiedFlag = 1;

/** `sinceSeconds`: what times are counted from. */
export function toNotice(raw: RawNotice, sinceSeconds: number): Notice {
  switch (raw.origin) {
    case origins.zerocopy:
      return toZerocopy(raw);
    case origins.local:
      return toError("local", raw);
    case origins.icmp:
      return toError("icmp", raw);
    case origins.icmp6:
      return toError("icmp6", raw);
    case origins.timestamping:
      return toStamp(raw, sinceSeconds);
    case origins.txtime:
      return toTxtime(raw);
    default:
      return toOther(raw);
  }
}

function toZerocopy({ info: lo, data: hi, code, latency_ns: latencyNs }: RawNotice): Notice {
  const count = ((hi - lo) >>> 0) + 1;
  return {
    ...{ origin: "zerocopy", lo, hi, count },
    ...{ copied: (code & copiedFlag) !== 0, exact: count === 1 },
    ...(latencyNs >= 0 && { latencyNs }),
  };
}

function toError(
  origin: ErrorNotice["origin"],
  { error, type, code, offender }: RawNotice,
): Notice {
  const name = decodeSockaddr(offender);
  const known = name.family === "inet" || name.family === "inet6";
  return {
    ...{ origin, errno: errnoName(error), type, code },
    ...(known && { offender: name.address }),
  };
}

function toStamp(raw: RawNotice, sinceSeconds: number): Notice {
  const stage = stages[raw.info];
  if (stage === undefined) return toOther(raw);
  const ns = (raw.stamp_s - sinceSeconds) * 1e9 + raw.stamp_ns;
  const clock = raw.hardware === 1 ? "card" : "system";
  return { origin: "timestamping", stage, id: raw.data, ns, clock };
}

function toTxtime({ code, info, data }: RawNotice): Notice {
  const txtime = ((BigInt(data) << 32n) | BigInt(info)).toString();
  return { origin: "txtime", code: txtimeCodes[code] ?? code, txtime };
}

function toOther({ origin, error, type, code, info, data }: RawNotice): Notice {
  return { origin, errno: errnoName(error), type, code, info, data };
}
