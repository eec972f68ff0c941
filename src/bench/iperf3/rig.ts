/** Runs measured against an iperf3 server: each is a test of its own. */
import type { Address } from "../../address/index.ts";
import { usageError, ZcError } from "../../errors.ts";
import type { BenchOptions } from "../bench.ts";
import { EndLost } from "../end-handle.ts";
import { describeMachine, sourceBytesFor } from "../machine.ts";
import { Memories } from "../memories.ts";
import { bindToAnyProcessor, bindToProcessor } from "../processor.ts";
import type { Cell } from "../result.ts";
import type { Rig, RunOptions } from "../rig.ts";
import { type ClientTest, runTest, type Tested } from "./client.ts";
import { outcomeOf } from "./outcome.ts";
import { limits } from "./parameters.schema.ts";

/** iperf3 tells the time in whole seconds. */
const timeMsMin = 1000;
/** After a test, for the server to take the next one. */
const againMsMax = 2000;

/** Throws UNSUPPORTED for a processor that is not there. */
export async function openIperf3Rig(options: BenchOptions): Promise<Rig> {
  const { address, iperf3, cpu, misalign, touch, hugePages, retryMs = 0, signal } = options;
  if (address === undefined) throw usageError("iperf3", "it needs a server's address");
  const reverse = iperf3?.reverse ?? false;
  const [here, there] = (reverse ? cpu?.toReversed() : cpu) ?? [];
  if (here !== undefined) bindToProcessor(here);
  const machine = describeMachine();
  const sourceBytes = reverse ? 0 : (options.sourceBytes ?? sourceBytesFor(machine));
  const memories = new Memories({ sourceBytes, misalign, touch, hugePages });
  const protocol = address.transport === "udp" ? "udp" : "tcp";
  const server = { address: { ...address, transport: "tcp" } as Address, protocol } as const;
  const peer = { ...server, reverse, peerProcessor: there, signal };
  let tests = 0;
  return {
    ...{ machine, sourceBytes, timeMsMin },
    transports: [address.transport],
    run: async (cell, run) => {
      const test = {
        ...peer,
        ...amountOf(cell, run),
        retryMs: tests++ === 0 ? retryMs : againMsMax,
      };
      const memory = reverse ? [] : memories.take(run.streams, cell.size);
      return outcomeOf(await tested({ ...test, memories: memory }), reverse);
    },
    [Symbol.asyncDispose]: async () => {
      memories[Symbol.dispose]();
      bindToAnyProcessor();
    },
  };
}

type Amount = Pick<ClientTest, "streams" | "size" | "bytes" | "seconds" | "mode" | "receiveMode"> &
  Pick<ClientTest, "mss" | "sndbuf" | "rcvbuf">;

function amountOf(cell: Cell, options: RunOptions): Amount {
  const { streams, bytes, durationMs, mss, sndbuf, rcvbuf } = options;
  const { size, mode, receiveMode } = cell;
  const isDatagram = cell.transport === "udp";
  const [min, max] = isDatagram ? [limits.datagramMin, limits.datagramMax] : [1, limits.blockSize];
  if (size < min || size > max)
    throw usageError(`${size} bytes`, `iperf3 has ${min} to ${max} of them in a call`);
  const seconds = durationMs === undefined ? undefined : Math.ceil(durationMs / 1e3);
  return { streams, size, bytes, seconds, mode, receiveMode, mss, sndbuf, rcvbuf };
}

/** What a server or this machine cannot do is the cell's error; any other is the last. */
async function tested(test: ClientTest): Promise<Tested> {
  try {
    return await runTest(test);
  } catch (error) {
    if (!(error instanceof ZcError) || error.code === "UNSUPPORTED") throw error;
    throw new EndLost(error);
  }
}
