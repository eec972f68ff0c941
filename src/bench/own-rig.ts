/** Two ends of our own: two processes here, or one and `zc bench serve` elsewhere. */
import type { Address } from "../address/index.ts";
import { ZcError } from "../errors.ts";
import { pause } from "../run-job.ts";
import type { BenchOptions } from "./bench.ts";
import { EndHandle } from "./end-handle.ts";
import type { Prepared, PrepareRequest } from "./messages.ts";
import type { Rig } from "./rig.ts";
import { answerMsMax, runCell } from "./run.ts";

const timeMsMin = 50;

/** Throws CONNECT, TIMEOUT, or what the ends cannot do as they are told. */
export async function openOwnRig(options: BenchOptions): Promise<Rig> {
  const { address, signal, cpu, misalign, touch, hugePages, sourceBytes } = options;
  const prepare = { do: "prepare", misalign, touch, hugePages, sourceBytes } as const;
  await using stack = new AsyncDisposableStack();
  const sender = stack.use(await EndHandle.start(signal));
  const here = await sender.ask({ ...prepare, processor: cpu?.[0] }, "prepare", answerMsMax);
  const { end, prepared } = await openReceiver(options, { ...prepare, processor: cpu?.[1] });
  const receiver = stack.use(end);
  const owned = stack.move();
  return {
    machine: here.machine,
    peer: address === undefined ? undefined : prepared.machine,
    sourceBytes: here.sourceBytes,
    transports: address === undefined ? options.transports : [address.transport],
    timeMsMin,
    run: (cell, run) => runCell({ sender, receiver, address }, cell, run),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const busyPauseMs = 100;

/** One that serves somebody else already is asked again, for as long as connecting may take. */
async function openReceiver(
  options: BenchOptions,
  prepare: PrepareRequest,
): Promise<{ readonly end: EndHandle; readonly prepared: Prepared }> {
  const { address, signal, retryMs = 0 } = options;
  const deadline = Date.now() + retryMs;
  for (;;) {
    const end =
      address === undefined
        ? await EndHandle.start(signal)
        : await EndHandle.connect(linkAddress(address), options);
    try {
      return { end, prepared: await end.ask(prepare, "prepare", answerMsMax) };
    } catch (error) {
      await end[Symbol.asyncDispose]();
      const isBusy = error instanceof ZcError && error.code === "CONNECT";
      if (!isBusy || Date.now() >= deadline) throw error;
      await pause(busyPauseMs, signal);
    }
  }
}

/** Datagrams are told of over TCP. */
function linkAddress(address: Address): Address {
  return address.transport === "udp" ? { ...address, transport: "tcp" } : address;
}
