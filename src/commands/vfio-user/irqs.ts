/** zc vfio-user irqs: a device's interrupts, and waiting for them. */
import { defineCommand, type OptionValues } from "../../command.ts";
import { printable, usageError, ZcError } from "../../errors.ts";
import type { Results } from "../../results.ts";
import { eitherSignal } from "../../run-job.ts";
import { parseCount, parseDuration } from "../../units.ts";
import { pciInterruptNames } from "../../vfio/pci.ts";
import type { Interrupt } from "../../vfio-user/client/interrupts.ts";
import type { Client } from "../../vfio-user/client.ts";
import { inspectInterrupts } from "../../vfio-user/inspect.ts";
import { interruptLines } from "./info.ts";
import {
  bellOption,
  jsonOption,
  parseInterrupt,
  ring,
  serverOptions,
  withClient,
} from "./server.ts";

const options = {
  wait: {
    flag: "--wait <which>",
    text: "INDEX:SUBINDEX, or FIRST-LAST for several: print a line whenever one comes",
    parse: parseWhich,
  },
  count: {
    flag: "--count <n>",
    text: "wait for so many lines, and no longer",
    parse: (text: string, name: string) => parseCount(text, name, { min: 1 }),
  },
  timeout: { flag: "--timeout <time>", text: "wait no longer than that", parse: parseDuration },
  write: bellOption,
  ...serverOptions,
  json: { ...jsonOption, text: "a JSON object; of waiting one a line" },
} as const;

type Values = OptionValues<typeof options>;

interface Which {
  readonly index: number;
  readonly first: number;
  readonly last: number;
}

export const command = defineCommand({
  usage: "SOCKET [INDEX]",
  text: "List the interrupts of a device, or wait for some: by number, or intx, msi, msix, error, request.",
  options,
  examples: [
    "zc vfio-user irqs /run/device.sock",
    "zc vfio-user irqs /run/device.sock --wait msix:0-3 --count 10 --timeout 5s",
  ],
  run: ([server = "", only], values) => {
    const { wait, count, timeout, write } = values;
    if (wait === undefined && (count ?? timeout ?? write) !== undefined)
      throw usageError("--count, --timeout and --write", "they are for --wait");
    if (wait !== undefined && only !== undefined)
      throw usageError(printable(only), "--wait says which already");
    const index = only === undefined ? undefined : parseInterrupt(only);
    return withClient(server, values, async (client, signal, results) => {
      if (wait !== undefined) return await waitFor(client, wait, { ...values, results, signal });
      const all = await inspectInterrupts(client, { signal });
      const interrupts = all.filter((each) => index === undefined || each.index === index);
      if (values.json) results.print(JSON.stringify({ interrupts }));
      else results.print(interruptLines(interrupts).join("\n"));
      return 0;
    });
  },
});

interface Waiting extends Values {
  readonly results: Results;
  readonly signal: AbortSignal;
}

/** Without --count a timeout is the end that was asked for. */
async function waitFor(
  client: Client,
  { index, first, last }: Which,
  values: Waiting,
): Promise<number> {
  const { signal } = values;
  const interrupts = await client.interrupts.listen(index, first, last - first + 1, { signal });
  const enough = new AbortController();
  const lines = new Lines(values, () => enough.abort(isEnough));
  const timer = endLate(values, enough);
  const until = eitherSignal(enough.signal, signal);
  try {
    await ring(client, values.write, signal);
    await Promise.all(interrupts.map((each) => follow(each, lines, until)));
    return 0;
  } catch (error) {
    if (error === isEnough || lines.areEnough) return 0;
    throw error;
  } finally {
    clearTimeout(timer);
    enough.abort(isEnough);
    // It may be gone, or not know how; and once we are asked to end, the connection's end does it.
    await client.interrupts.release(index, { signal }).catch(() => {});
    for (const each of interrupts) each[Symbol.dispose]();
  }
}

const isEnough = Symbol("enough");

function endLate(values: Values, enough: AbortController) {
  const { timeout, count } = values;
  if (timeout === undefined) return undefined;
  return setTimeout(() => enough.abort(count === undefined ? isEnough : late(values)), timeout);
}

async function follow(interrupt: Interrupt, lines: Lines, signal: AbortSignal): Promise<never> {
  for (;;) {
    lines.tell(interrupt, (await interrupt.wait({ signal })) ?? 0n);
    await lines.room();
  }
}

class Lines {
  readonly #values: Waiting;
  readonly #onEnough: () => void;
  readonly #begin = performance.now();
  #told = 0;

  constructor(values: Waiting, onEnough: () => void) {
    this.#values = values;
    this.#onEnough = onEnough;
  }

  /** As many as --count says. */
  get areEnough(): boolean {
    return this.#told === this.#values.count;
  }

  room(): Promise<void> | undefined {
    return this.#values.results.room();
  }

  tell({ index, subindex }: Interrupt, times: bigint): void {
    if (this.areEnough) return;
    const count = Number(times);
    const seconds = (performance.now() - this.#begin) / 1e3;
    const name = pciInterruptNames[index] ?? index;
    const line = `${name}:${subindex}${count === 1 ? "" : ` ${count} times`}`;
    const { json, results } = this.#values;
    results.print(json ? JSON.stringify({ index, subindex, count, seconds }) : line);
    this.#told++;
    if (this.areEnough) this.#onEnough();
  }
}

function late({ count, timeout }: Values): ZcError {
  const reason = `fewer than ${count} came within ${timeout} ms`;
  return new ZcError({ code: "TIMEOUT", operation: "wait for interrupts", reason });
}

function parseWhich(text: string, name: string): Which {
  const [, kind = "", first = "", last = first] = /^([^:]+):(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  if (kind === "")
    throw usageError(name, `"${printable(text)}" is not INDEX:SUBINDEX`, "for example msix:0");
  const which = {
    index: parseInterrupt(kind),
    first: parseCount(first, name, { max: subindexMax }),
    last: parseCount(last, name, { max: subindexMax }),
  };
  if (which.last < which.first) throw usageError(name, `${first} is behind ${last}`);
  return which;
}

/** MSI-X has no more: PCI Local Bus Specification, "MSI-X Capability". */
const subindexMax = 2047;
