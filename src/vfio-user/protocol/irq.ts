/** A device's interrupts. vfio-user specification, "VFIO_USER_DEVICE_GET_IRQ_INFO" and "_SET_IRQS". */
import { joinBytes, RecordLayout } from "../../vfio/record.ts";
import { checkArgsz, decodeData, decodeStruct, Malformed } from "./malformed.ts";

/** VFIO_IRQ_INFO_* */
export const irqInfoFlags = { EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4, NORESIZE: 8 } as const;

const infoLayout = new RecordLayout({ argsz: "u32", flags: "u32", index: "u32", count: "u32" });
const setLayout = new RecordLayout({
  argsz: "u32",
  flags: "u32",
  index: "u32",
  start: "u32",
  count: "u32",
});

export interface IrqInfo {
  readonly flags: number;
  /** Of the kind of interrupt. */
  readonly index: number;
  /** How many it has. */
  readonly count: number;
}

/** The reply; the request has the index alone. */
export function encodeIrqInfo(info: IrqInfo): Uint8Array<ArrayBuffer> {
  return infoLayout.encode({ ...info, argsz: infoLayout.size });
}

export function decodeIrqInfo(payload: Uint8Array): IrqInfo {
  const { argsz, ...info } = decodeStruct(infoLayout, "an interrupt's info", payload);
  checkArgsz(argsz, infoLayout.size);
  return info;
}

/** VFIO_IRQ_SET_DATA_* and VFIO_IRQ_SET_ACTION_*: one of each. */
const dataFlags = { none: 1, bool: 2, eventfd: 4 } as const;
const actionFlags = { mask: 8, unmask: 16, trigger: 32 } as const;

export interface IrqSet {
  /** "eventfd": the descriptors come with the message, one each; without any, those before are let go. */
  readonly data: keyof typeof dataFlags;
  readonly action: keyof typeof actionFlags;
  readonly index: number;
  /** The first interrupt of the index. */
  readonly start: number;
  /** 0, with "none" and "trigger": all of the index are disabled. */
  readonly count: number;
  /** With "bool": a byte for each interrupt; those that are not 0 are acted on. */
  readonly bools?: Uint8Array | undefined;
}

/** The reply has no payload. */
export function encodeIrqSet({
  data,
  action,
  bools = new Uint8Array(),
  ...set
}: IrqSet): Uint8Array<ArrayBuffer> {
  const flags = dataFlags[data] | actionFlags[action];
  return joinBytes(
    setLayout.encode({ ...set, flags, argsz: setLayout.size + bools.length }),
    bools,
  );
}

/** The bools are borrowed. */
export function decodeIrqSet(payload: Uint8Array): IrqSet {
  const { argsz, flags, ...set } = decodeStruct(setLayout, "a set of interrupts", payload);
  checkArgsz(argsz, setLayout.size);
  const data = nameOf(dataFlags, flags & 7, "one kind of data");
  const action = nameOf(actionFlags, flags & ~7, "one action");
  if (data !== "bool") return { data, action, ...set };
  return { data, action, ...set, bools: decodeData(payload, setLayout.size, set.count) };
}

function nameOf<N extends string>(
  flags: Readonly<Record<N, number>>,
  flag: number,
  expected: string,
): N {
  for (const name in flags) if (flags[name] === flag) return name;
  throw new Malformed({ offset: 4, expected, found: `the flags 0x${(flag >>> 0).toString(16)}` });
}
