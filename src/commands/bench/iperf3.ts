/** What `--iperf3` makes of a benchmark's options. */
import { type Address, formatAddress, parseAddress } from "../../address/index.ts";
import type { BenchOptions } from "../../bench/bench.ts";
import { limits } from "../../bench/iperf3/parameters.schema.ts";
import { usageError } from "../../errors.ts";
import { receiveModes, sendModes } from "../../transfer/plan.ts";
import { type MeasureValues, toBenchOptions } from "./options.ts";

const portDefault = 5201;
/** What iperf3 tells the time in. */
const second = 1000;
/** What an Ethernet frame carries, and more. */
const datagramSizes = [1460, 16 << 10];
/** How an iperf3 server can send. */
const serverModes = ["copy", "sendfile"];

export interface Iperf3Values {
  readonly reverse: boolean;
  readonly sizes: readonly number[];
}

/** Throws USAGE. */
export function toIperf3Options(
  text: string | undefined,
  values: MeasureValues,
  { reverse, sizes }: Iperf3Values,
): BenchOptions {
  if (text === undefined) throw usageError("--iperf3", "ADDR is missing", "zc bench --iperf3 HOST");
  if (values.latency) throw usageError("--latency", "iperf3 answers no requests");
  const { time = 0, modes = [], mss = 0 } = values;
  if (time % second !== 0) throw usageError("--time", "iperf3 has whole seconds");
  if (mss > limits.mss) throw usageError("--mss", `iperf3 has up to ${limits.mss}`);
  if (reverse) assertNothingSent(values);
  else if (values.rxModes !== undefined)
    throw usageError("--rx-modes", "how an iperf3 server receives is up to it");
  const parsed = parseIperf3Address(text);
  const isDatagrams = parsed.transport === "udp";
  if (isDatagrams && [...modes, ...(values.rxModes ?? [])].some((mode) => mode !== "copy"))
    throw usageError("--modes", "datagrams are copied");
  const unknown = reverse ? modes.find((mode) => !serverModes.includes(mode)) : undefined;
  if (unknown !== undefined)
    throw usageError("--modes", `an iperf3 server sends by ${serverModes.join(" or ")}`);
  const copy = ["copy"] as const;
  const defaults = {
    transports: [],
    sizes: isDatagrams ? datagramSizes : sizes,
    modes: reverse || isDatagrams ? copy : sendModes,
  };
  return {
    ...toBenchOptions(formatAddress(parsed), values, defaults),
    ...(reverse && { receiveModes: values.rxModes ?? (isDatagrams ? copy : receiveModes) }),
    iperf3: { reverse },
  };
}

/** "HOST" is "HOST:5201". Throws USAGE. */
export function parseIperf3Address(text: string): Address {
  const address = parseAddress(/:\d+$/.test(text) ? text : `${text}:${portDefault}`);
  if (address.transport === "tcp" || address.transport === "udp") return address;
  throw usageError(text, "iperf3 has TCP and UDP");
}

/** With --reverse the memory is the server's. */
function assertNothingSent({ source, touch, misalign, hugePages }: MeasureValues): void {
  const given = {
    "--source": source !== undefined,
    "--touch": touch,
    "--misalign": misalign !== undefined,
    "--huge-pages": hugePages,
  };
  const [name] = Object.entries(given).find(([, isGiven]) => isGiven) ?? [];
  if (name !== undefined) throw usageError(name, "with --reverse it is the server that sends");
}
