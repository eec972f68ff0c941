/**
 * A device that can be migrated, from each of its states to each other, within one opening of it.
 * Prints as JSON what came of that, and of its DMA log and its pre-copy. In the kernel's log, where
 * mtty notes its steps, "walk FROM TO" and "walked" stand around each change.
 *
 *   bun test/lab/vfio-walk.ts DEV FILE     FILE: for its state, in between
 */
import { closeSync, openSync, writeFileSync } from "node:fs";
import { ZcError } from "../../src/errors.ts";
import { printResult } from "../../src/print.ts";
import type { MigratableDevice, MigrationData } from "../../src/vfio/device.ts";
import { openDevice } from "../../src/vfio/open.ts";
import { type DeviceState, deviceStates, opensData, statesOf } from "../../src/vfio/states.ts";

const [name = "", file = ""] = process.argv.slice(2);
await using device = await openDevice(name);
await save(device);
const states = statesOf(await device.features());
const cells: object[] = [];
for (const from of states) for (const to of deviceStates) cells.push(await walk(device, from, to));
printResult(JSON.stringify({ cells, ...(await logDma(device)), ...(await preCopy(device)) }));

async function walk(what: MigratableDevice, from: DeviceState, to: DeviceState) {
  await using _opened = await bring(what, from);
  log(`walk ${from} ${to}`);
  try {
    await using data = await what.setState(to);
    return { from, to, state: await what.state(), opened: data !== undefined };
  } catch (error) {
    if (!(error instanceof ZcError)) throw error;
    return { from, to, state: await what.state(), errno: error.errnoName };
  } finally {
    log("walked");
  }
}

function log(text: string): void {
  writeFileSync("/dev/kmsg", `${text}\n`);
}

/** By way of RUNNING; RESUMING is given a state, without which nothing leaves it. */
async function bring(what: MigratableDevice, to: DeviceState): Promise<MigrationData | undefined> {
  await what.reset();
  const data = await what.setState(to);
  if (data !== undefined && opensData("STOP", to) === "write") {
    const fd = openSync(file, "r");
    await data.moveFrom({ fd, name: file, isSocket: false });
    closeSync(fd);
  }
  return data;
}

async function save(what: MigratableDevice): Promise<void> {
  await using data = await what.setState("STOP_COPY");
  const fd = openSync(file, "w");
  await data?.moveTo({ fd, name: file, isSocket: false });
  closeSync(fd);
  await what.setState("RUNNING");
}

async function logDma(what: MigratableDevice) {
  const range = { address: 0x10_0000n, size: 0x10_0000n };
  const { hasDmaLogging } = await what.facts();
  await what.startDmaLogging([range], 4096);
  const taken = await what.takeDmaLog(range, 4096).catch((error) => error.toJSON());
  await what.stopDmaLogging();
  const refused = await what.startDmaLogging([], 4096).catch((error) => error.errnoName);
  return { dma: { hasDmaLogging, taken, refused } };
}

/** In its portions: the header, then nothing for now, then the rest, then the end. */
async function preCopy(what: MigratableDevice) {
  await what.reset();
  await using data = await what.setState("PRE_COPY");
  if (data === undefined) return {};
  const fd = openSync(file, "w");
  const sink = { fd, name: file, isSocket: false };
  const infos = [await data.precopyInfo()];
  const portions = [await data.moveTo(sink, { limit: 10 }), await data.moveTo(sink)];
  infos.push(await data.precopyInfo());
  await what.setState("STOP_COPY");
  infos.push(await data.precopyInfo());
  portions.push(await data.moveTo(sink));
  closeSync(fd);
  await what.reset();
  return { preCopy: { infos: infos.map((info) => info ?? null), portions } };
}
