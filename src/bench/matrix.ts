/** Which cells there are, and in which order a round runs them. Pure. */
import type { ReceiveMode, SendMode } from "../transfer/plan.ts";
import type { Cell } from "./result.ts";

export interface MatrixOptions {
  readonly transports: readonly string[];
  readonly modes: readonly SendMode[];
  readonly receiveModes: readonly ReceiveMode[];
  /** Bytes. */
  readonly sizes: readonly number[];
  /** Latencies are held against those of the same size, not against copies of 1 MiB. */
  readonly isLatency?: boolean;
}

export interface MatrixCell extends Cell {
  readonly isBaseline: boolean;
}

/** Reads and writes of this size are what everything is held against; bytes. */
const baselineSize = 1 << 20;
/** What an IPv4 datagram can carry, and so the baseline's size there. */
export const datagramMax = 65_507;

/** Every combination, transport by transport; of throughput each transport's baseline too. */
export function matrixOf(options: MatrixOptions): MatrixCell[] {
  const { transports, modes, receiveModes, sizes, isLatency = false } = options;
  return transports.flatMap((transport) => {
    const baseline = baselineOf(transport);
    const cells = modes.flatMap((mode) =>
      receiveModes.flatMap((receiveMode) =>
        sizes.map((size) => ({ transport, mode, receiveMode, size })),
      ),
    );
    const hasBaseline = isLatency || cells.some((cell) => isSameCell(cell, baseline));
    const missing = hasBaseline ? [] : [baseline];
    return [...cells, ...missing].map((cell) => ({
      ...cell,
      isBaseline: !isLatency && isSameCell(cell, baseline),
    }));
  });
}

function baselineOf(transport: string): Cell {
  const size = transport === "udp" ? datagramMax : baselineSize;
  return { transport, mode: "copy", receiveMode: "copy", size };
}

export function isSameCell(one: Cell, other: Cell): boolean {
  return (
    one.transport === other.transport &&
    one.mode === other.mode &&
    one.receiveMode === other.receiveMode &&
    one.size === other.size
  );
}

/** Each round begins with another one, and every other round goes backwards: drift meets all alike. */
export function orderOfRound<T>(items: readonly T[], round: number): T[] {
  const first = items.length > 0 ? round % items.length : 0;
  const rotated = [...items.slice(first), ...items.slice(0, first)];
  return round % 2 === 0 ? rotated : rotated.reverse();
}
