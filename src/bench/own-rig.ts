/** Two ends of our own: two processes here, or one and `zc bench serve` elsewhere. */
import type { Address } from "../address/index.ts";
import type { BenchOptions } from "./bench.ts";
import { EndHandle } from "./end-handle.ts";
import type { Rig } from "./rig.ts";
import { runCell } from "./run.ts";

const timeMsMin = 50;

/** Throws CONNECT, TIMEOUT, or what the ends cannot do as they are told. */
export async function openOwnRig(options: BenchOptions): Promise<Rig> {
  const { address, signal, cpu, misalign, touch, hugePages, sourceBytes } = options;
  await using stack = new AsyncDisposableStack();
  const sender = stack.use(await EndHandle.start(signal));
  const receiver = stack.use(
    address === undefined
      ? await EndHandle.start(signal)
      : await EndHandle.connect(linkAddress(address), options),
  );
  const prepare = { do: "prepare", misalign, touch, hugePages, sourceBytes } as const;
  const here = await sender.ask({ ...prepare, processor: cpu?.[0] }, "prepare");
  const there = await receiver.ask({ ...prepare, processor: cpu?.[1] }, "prepare");
  const owned = stack.move();
  return {
    machine: here.machine,
    peer: address === undefined ? undefined : there.machine,
    sourceBytes: here.sourceBytes,
    transports: address === undefined ? options.transports : [address.transport],
    timeMsMin,
    run: (cell, run) => runCell({ sender, receiver, address }, cell, run),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Datagrams are told of over TCP. */
function linkAddress(address: Address): Address {
  return address.transport === "udp" ? { ...address, transport: "tcp" } : address;
}
