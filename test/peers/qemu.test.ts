/** QEMU's migration stream, through zc in the ways that QEMU offers: exec:, unix: and tcp:. */
import { readdirSync, readlinkSync } from "node:fs";
import { expect, test } from "vitest";
import type { SocketState } from "../../src/errq/inspect.ts";
import { type Scratch, scratch } from "../support/scratch.ts";
import { launcher, zc } from "../support/zc.ts";
import { type CountingMachine, filledAddress, startCounting } from "./counting.ts";
import { isAbsent } from "./installed.ts";
import { freePort, untilListening } from "./listening.ts";
import { type Machine, migrationEnd, qemu, setCapabilities } from "./machine.ts";
import { difference, failure, ownZc } from "./own.ts";

const filledSize = 32 << 20;

/** From a migration URI of `machine`, to a file. */
const saves = {
  "exec: with zc send": (address: string) => `exec:${launcher} send -q ${address}`,
  "its own socket": (address: string) => address,
} as const;

/** From a file, to what `machine` reads by a migration URI. */
const loads = {
  "exec: with zc recv": loadOver((address) => `exec:${launcher} recv -q ${address}`),
  "its own socket": loadOver((address) => address),
  "exec: with cat": async (machine: Machine, _address: string, file: string) => {
    await machine.qmp.execute("migrate-incoming", { uri: `exec:cat ${file}` });
  },
} as const;

interface Journey {
  readonly save: keyof typeof saves;
  readonly load: keyof typeof loads;
  readonly transport: "tcp" | "unix";
}

const journeys: readonly Journey[] = [
  { save: "exec: with zc send", load: "exec: with zc recv", transport: "unix" },
  { save: "its own socket", load: "its own socket", transport: "tcp" },
  { save: "its own socket", load: "exec: with cat", transport: "unix" },
];

test.for(journeys)(
  "saved by $save, loaded by $load, $transport: the guest goes on",
  async ({ save, load, transport }, { skip }) => {
    skip(isAbsent(qemu));
    using folder = scratch();
    const file = folder.file("stream");
    const source = await startSource(folder);

    const saving = await placeOf(transport, folder, "saving");
    const receiver = ownZc(["recv", saving, file]);
    await untilListening(receiver, saving);
    await source.qmp.execute("migrate", { uri: saves[save](saving) });
    expect(await migrationEnd(source)).toBe("completed");
    expect(failure(await receiver.result)).toBe("");

    const destination = await startCounting(folder, "destination");
    await loads[load](destination, await placeOf(transport, folder, "loading"), file);
    await assertGoesOn(source, destination, folder);
  },
);

/** What the destination reads while zc sends. */
const targets = {
  "zc recv in another": (address: string) => `exec:${launcher} recv -q ${address}`,
  "its own socket": (address: string) => address,
} as const;

const liveJourneys = [
  { to: "zc recv in another", transport: "tcp" },
  { to: "its own socket", transport: "tcp" },
  { to: "its own socket", transport: "unix" },
] as const;

test.for(liveJourneys)(
  "live, from zc send in an exec: to $to, $transport: the guest goes on",
  async ({ to, transport }, { skip }) => {
    skip(isAbsent(qemu));
    using folder = scratch();
    const source = await startSource(folder);
    const destination = await startCounting(folder, "destination");
    const address = await placeOf(transport, folder, "live");

    await destination.qmp.execute("migrate-incoming", { uri: targets[to](address) });
    await untilListening(destination.process, address);
    await source.qmp.execute("migrate", { uri: `exec:${launcher} send -q ${address}` });

    expect(await migrationEnd(source)).toBe("completed");
    await assertGoesOn(source, destination, folder);
  },
);

test("its own sends without copies, watched from outside while it migrates", async ({ skip }) => {
  skip(isAbsent(qemu) || process.getuid?.() !== 0); // only root may lock that much memory
  using folder = scratch();
  const source = await startSource(folder);
  const destination = await startCounting(folder, "destination");
  await setCapabilities(destination.qmp, ["multifd"]);
  await setCapabilities(source.qmp, ["multifd", "zero-copy-send"]);
  await source.qmp.execute("migrate-set-parameters", { "max-bandwidth": 1 << 20 });

  const address = await placeOf("tcp", folder, "live");
  await destination.qmp.execute("migrate-incoming", { uri: address });
  await untilListening(destination.process, address);
  await source.qmp.execute("migrate", { uri: address });
  const state = await untilWatched(source, address);
  expect(state).toMatchObject({ zerocopy: true, peer: address });
  expect(state.optionMemory).toBeLessThanOrEqual(state.optionMemoryMax ?? 0);

  await source.qmp.execute("migrate-set-parameters", { "max-bandwidth": 1 << 30 });
  expect(await migrationEnd(source)).toBe("completed");
  await assertGoesOn(source, destination, folder);
});

/** The first of its sockets to this address that has zero-copy sends waiting, as zc errq sees it. */
async function untilWatched(machine: Machine, address: string): Promise<SocketState> {
  const pid = machine.process.child.pid ?? 0;
  for (;;) {
    for (const fd of readdirSync(`/proc/${pid}/fd`).filter((fd) => isSocket(pid, fd))) {
      const { code, stdout } = await zc(["errq", "--pid", `${pid}`, "--fd", fd, "--json"]);
      const state: SocketState = code === 0 ? JSON.parse(stdout.toString()) : undefined;
      if (state?.peer === address && state.zerocopy && state.optionMemory > 0) return state;
    }
    expect(await machine.qmp.execute("query-migrate")).not.toMatchObject({ status: "completed" });
  }
}

/** No: it is something else, or gone by now. */
function isSocket(pid: number, fd: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:");
  } catch {
    return false;
  }
}

async function startSource(folder: Scratch): Promise<CountingMachine> {
  const source = await startCounting(folder, "source", folder.random("filled", filledSize));
  await source.untilPrinted(3);
  return source;
}

function loadOver(uriOf: (address: string) => string) {
  return async (machine: Machine, address: string, file: string) => {
    await machine.qmp.execute("migrate-incoming", { uri: uriOf(address) });
    await untilListening(machine.process, address);
    expect(failure(await ownZc(["send", address, file]).result)).toBe("");
  };
}

async function placeOf(transport: "tcp" | "unix", folder: Scratch, name: string): Promise<string> {
  return transport === "unix" ? `unix:${folder.file(name)}` : `tcp:127.0.0.1:${await freePort()}`;
}

/** The memory is the same, and the numbers go on where they stopped: none missing, none twice. */
async function assertGoesOn(
  source: CountingMachine,
  destination: CountingMachine,
  folder: Scratch,
): Promise<void> {
  expect(await migrationEnd(destination)).toBe("completed");
  expect(await destination.qmp.execute("query-migrate")).toMatchObject({ status: "completed" });
  expect(await destination.qmp.execute("query-status")).toMatchObject({ status: "running" });
  await destination.untilPrinted(3);
  expect(await source.qmp.execute("query-migrate")).toMatchObject({ status: "completed" });
  expect(await source.qmp.execute("query-status")).toMatchObject({ status: "postmigrate" });

  await source.qmp.execute("quit");
  const { stderr } = await source.process.result;
  expect(`${stderr}${destination.process.notes()}`).toBe(""); // zc's in an exec: too
  const numbers = (source.printed() + destination.printed())
    .split("\n")
    .slice(0, -1)
    .map((line) => Number.parseInt(line, 16));
  expect(numbers).toEqual(numbers.map((_, index) => index + 1));

  const memory = folder.file("memory");
  const range = { val: filledAddress, size: filledSize, filename: memory };
  await destination.qmp.execute("pmemsave", range);
  expect(await difference(folder.file("filled"), memory)).toBe("");
}
