/** A server's device as one that is saved, resumed and migrated, over real sessions. */
import { closeSync, openSync } from "node:fs";
import { expect, onTestFinished, test, vi } from "vitest";
import { migrateDevice, type Recoveries } from "../../../src/vfio/migrate.ts";
import type { DeviceState } from "../../../src/vfio/states.ts";
import { startClient } from "../../../src/vfio-user/client.ts";
import { UserDevice, type UserDeviceOptions } from "../../../src/vfio-user/device.ts";
import { Refusal } from "../../../src/vfio-user/refusal.ts";
import type { DeviceMigration, VirtualDevice } from "../../../src/vfio-user/server/device.ts";
import { Session } from "../../../src/vfio-user/server/session.ts";
import { socketPair } from "./pair.ts";

const EINVAL = 22;
const EIO = 5;

interface Opened {
  readonly device: UserDevice;
  /** What it was asked for, and "reset". */
  readonly happened: string[];
}

/** A device of which nothing is there but its migration. Both ends end with the test. */
async function open(
  name: string,
  migration: Partial<DeviceMigration>,
  settings: UserDeviceOptions = {},
): Promise<Opened> {
  const happened: string[] = [];
  const device: VirtualDevice = {
    ...{ name, isPci: false, regions: {} },
    migration: {
      features: { stopCopy: true, p2p: false, preCopy: true },
      read: () => new Uint8Array(0),
      write: () => {},
      ...migration,
      setState: async (to, from) => {
        await migration.setState?.(to, from);
        happened.push(to);
      },
    },
    reset: () => void happened.push("reset"),
  };
  const [near, far] = socketPair();
  const session = new Session(far, device);
  const client = await startClient(near, { timeoutMs: settings.stateTimeoutMs });
  onTestFinished(async () => {
    session.cancel();
    await client[Symbol.asyncDispose]();
    await session.ended;
  });
  return { device: new UserDevice(name, client, settings), happened };
}

/** What its promise waits for ends with the test. */
function never(): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  onTestFinished(() => resolve());
  return promise;
}

/** So many bytes, each portion as large as it is asked for. */
function gives(bytes: number): Pick<DeviceMigration, "read"> {
  let left = bytes;
  return {
    read: (size) => {
      const portion = new Uint8Array(Math.min(size, left)).fill(7);
      left -= portion.length;
      return portion;
    },
  };
}

/** More than the pipe between two devices holds, and then an error. */
function breaks(): Pick<DeviceMigration, "read"> {
  let portions = 0;
  return {
    read: (size) => {
      if (++portions > 3) throw new Refusal(EIO, "broken");
      return new Uint8Array(size);
    },
  };
}

const options = { preCopy: false, downtimeMs: 300 };
const much = 4 << 20;

test("only an arc that opens a data session brings one", async () => {
  const { device } = await open("device", {});
  const opened = async (state: DeviceState) => (await device.setState(state)) !== undefined;
  expect([await opened("PRE_COPY"), await opened("STOP_COPY")]).toEqual([true, false]);
  expect([await opened("STOP"), await opened("STOP_COPY")]).toEqual([false, true]);
  expect([await opened("RUNNING"), await opened("RESUMING")]).toEqual([false, true]);
});

test("data: to the limit, to a pause in PRE_COPY, to the end in STOP_COPY", async () => {
  const { device } = await open("device", gives(3 << 20));
  using sink = nullSink();
  await using data = await device.setState("PRE_COPY");
  if (data === undefined) throw new Error("no data");
  expect(await data.precopyInfo()).toBeUndefined();
  expect(await data.moveTo(sink.end, { limit: 1 << 20 })).toEqual({ bytes: 1 << 20, end: "limit" });
  expect(await data.moveTo(sink.end)).toEqual({ bytes: 2 << 20, end: "paused" });
  await device.setState("STOP_COPY");
  expect(await data.moveTo(sink.end)).toEqual({ bytes: 0, end: "end" });
});

test("data that a device owes are waited for ten seconds, unless it was said", async () => {
  const over = Promise.withResolvers<Uint8Array>();
  const { device } = await open("device", { read: () => over.promise });
  onTestFinished(() => over.resolve(new Uint8Array(0)));
  using sink = nullSink();
  await using data = await device.setState("PRE_COPY");
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const moved = expect(data?.moveTo(sink.end)).rejects.toMatchObject({
    ...{ code: "TIMEOUT", reason: "nothing moved for 10000 ms" },
  });
  vi.advanceTimersByTime(10_500);
  await moved;
});

test("a migration: the source rests in STOP, the destination runs, and has every byte", async () => {
  let taken = 0;
  const source = await open("source", gives(much));
  const destination = await open("destination", {
    write: (bytes) => {
      expect([bytes[0], bytes.at(-1)]).toEqual([7, 7]);
      taken += bytes.length;
    },
  });
  const { bytes, stopCopyBytes } = await migrateDevice(source.device, destination.device, options);
  expect([bytes, stopCopyBytes, taken]).toEqual([much, much, much]);
  expect(source.happened).toEqual(["STOP", "STOP_COPY", "STOP"]);
  expect(destination.happened).toEqual(["STOP", "RESUMING", "STOP", "RUNNING"]);
});

test("a source gives round after round before it stops, until one is small", async () => {
  const rounds = [300_000, 200_000, 150_000, 100_000, 1000];
  const source = await open("source", { read: () => new Uint8Array(rounds.shift() ?? 0) });
  const destination = await open("destination", {});
  const migration = { preCopy: true, downtimeMs: 300 };
  const migrated = await migrateDevice(source.device, destination.device, migration);
  expect(migrated).toMatchObject({ verdict: "converged", preCopyBytes: 751_000 });
});

test("neither is to blame while it is the other that is waited for", async () => {
  const patience = { dataTimeoutMs: 1000 };
  const long = () => Bun.sleep(2000);
  const stops = { setState: (to: DeviceState) => (to === "STOP_COPY" ? long() : undefined) };
  const slow = await open("source", { ...gives(1), ...stops });
  await migrateDevice(slow.device, (await open("destination", {}, patience)).device, options);
  const source = await open("source", gives(3 << 20), patience);
  const takes = await open("destination", { write: long });
  await migrateDevice(source.device, takes.device, options);
});

/** Fails, and tells how the two rest. */
async function failing(source: Opened, destination: Opened, signal?: AbortSignal) {
  let rest: Recoveries | undefined;
  const onRecovered = (recoveries: Recoveries) => {
    rest = recoveries;
  };
  const migration = migrateDevice(source.device, destination.device, {
    ...{ ...options, signal, onRecovered },
  });
  const error = await migration.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { error, rest };
}

const recovered = {
  source: { state: "RUNNING", action: "unwound" },
  destination: { state: "RUNNING", action: "reset" },
};

test("a destination that refuses ends the source too, which waits with a full pipe", async () => {
  const source = await open("source", gives(much));
  const write = () => {
    throw new Refusal(EINVAL, "no such data");
  };
  const destination = await open("destination", { write });
  const { error, rest } = await failing(source, destination);
  expect(error).toMatchObject({ code: "PROTOCOL", subject: "destination" });
  expect(rest).toMatchObject(recovered);
  expect(source.happened.at(-1)).toBe("RUNNING");
});

test("a source that fails is no end of the data: the destination never has it for whole", async () => {
  const source = await open("source", breaks());
  const destination = await open("destination", {});
  const { error, rest } = await failing(source, destination);
  expect(error).toMatchObject({ code: "DEVICE", errnoName: "EIO" });
  expect(rest).toMatchObject(recovered);
  expect(destination.happened).toEqual(["STOP", "RESUMING", "reset"]);
});

test("a signal ends both", async () => {
  const abort = new AbortController();
  const write = () => abort.abort(new Error("enough"));
  const source = await open("source", gives(much));
  const destination = await open("destination", { write });
  const { error, rest } = await failing(source, destination, abort.signal);
  expect(error).toEqual(new Error("enough"));
  expect(rest).toMatchObject(recovered);
});

test("a source runs again before the destination is reset, however long that takes", async () => {
  const runs = Promise.withResolvers<void>();
  const setState = (to: DeviceState, from: DeviceState) => {
    if (from === "STOP" && to === "RUNNING") runs.resolve();
  };
  const source = await open("source", { ...gives(much), setState });
  const write = () => {
    throw new Refusal(EINVAL, "no such data");
  };
  const destination = await open("destination", { write });
  const reset = destination.device.reset.bind(destination.device);
  destination.device.reset = async () => {
    await runs.promise;
    await reset();
  };
  const { error, rest } = await failing(source, destination);
  expect(error).toMatchObject({ code: "PROTOCOL" });
  expect(rest).toMatchObject(recovered);
});

test("a destination is reset before the source runs again, however long that takes", async () => {
  const wasReset = Promise.withResolvers<void>();
  const source = await open("source", breaks());
  const destination = await open("destination", {});
  const { device } = destination;
  const reset = device.reset.bind(device);
  device.reset = async () => {
    await reset();
    wasReset.resolve();
  };
  const setState = source.device.setState.bind(source.device);
  source.device.setState = async (to, signal) => {
    if (to === "RUNNING") await wasReset.promise;
    return await setState(to, signal);
  };
  const { error, rest } = await failing(source, destination);
  expect(error).toMatchObject({ code: "DEVICE", errnoName: "EIO" });
  expect(rest).toMatchObject(recovered);
});

/** Does not answer when it has all the data, and says so. */
function mute(onAsked: () => void = () => {}): Partial<DeviceMigration> {
  return {
    setState: (_, from) => {
      if (from !== "RESUMING") return;
      onAsked();
      return never();
    },
  };
}

test("a destination that never answers is waited for no longer than was said", async () => {
  const source = await open("source", gives(much));
  const destination = await open("destination", mute(), { stateTimeoutMs: 1000 });
  const { error, rest } = await failing(source, destination);
  expect(error).toMatchObject({ code: "TIMEOUT", reason: "no reply within 1000 ms" });
  expect(rest).toMatchObject({ source: recovered.source, destination: { action: "left" } });
});

test("nor is it once an end is asked for", async () => {
  const abort = new AbortController();
  const { signal } = abort;
  const source = await open("source", gives(much), { signal });
  const onAsked = () => abort.abort(new Error("enough"));
  const destination = await open("destination", mute(onAsked), { signal });
  const { error, rest } = await failing(source, destination, signal);
  expect(error).toEqual(new Error("enough"));
  expect(rest).toMatchObject({ source: recovered.source, destination: { action: "left" } });
});

test("a destination that is asked to run is waited for, whatever ends the rest", async () => {
  const abort = new AbortController();
  const [source, destination] = [
    await open("source", gives(much)),
    await open("destination", {
      setState: (to) => {
        if (to === "RUNNING") abort.abort(new Error("enough"));
      },
    }),
  ];
  const { error } = await failing(source, destination, abort.signal);
  expect(error).toBeUndefined();
  expect([source.happened.at(-1), destination.happened.at(-1)]).toEqual(["STOP", "RUNNING"]);
});

test("a source that fails when the destination has everything leaves that running", async () => {
  let stops = 0;
  const setState = (to: DeviceState) => {
    if (to === "STOP" && ++stops === 2) throw new Refusal(EIO, "broken");
  };
  const source = await open("source", { ...gives(much), setState });
  const { error, rest } = await failing(source, await open("destination", {}));
  expect(error).toMatchObject({ code: "DEVICE", errnoName: "EIO" });
  expect(rest).toEqual({
    source: {
      ...{ found: "STOP_COPY", state: "STOP_COPY", action: "left" },
      reason: "all of its state is saved",
    },
    destination: {
      ...{ found: "RUNNING", state: "RUNNING", action: "left" },
      reason: "it has everything, and runs",
    },
  });
});

test("a source that cannot be saved costs the destination nothing", async () => {
  const features = { stopCopy: false, p2p: false, preCopy: false };
  const destination = await open("destination", {});
  const fixed = await failing(await open("source", { features }), destination);
  expect(fixed.error).toMatchObject({ code: "UNSUPPORTED", subject: "source" });
  const resuming = await open("source", {});
  await resuming.device.setState("RESUMING");
  const busy = await failing(resuming, destination);
  expect(busy.error).toMatchObject({ code: "DEVICE", subject: "source" });
  expect([destination.happened, fixed.rest, busy.rest]).toEqual([[], undefined, undefined]);
});

test("where it may run, the source does not before it has recovered", async () => {
  const source = await open("source", gives(much));
  const destination = await open("destination", {
    setState: (to) => {
      if (to === "RUNNING") throw new Refusal(EIO, "broken");
    },
  });
  const sourceWas = new Set<DeviceState>();
  destination.device.reset = async () => {
    // Answers enough for it to have gone back meanwhile.
    for (let asked = 0; asked < 20; asked++) sourceWas.add(await source.device.state());
  };
  const { rest } = await failing(source, destination);
  expect([...sourceWas]).toEqual(["STOP_COPY"]);
  expect(rest).toMatchObject({ source: recovered.source, destination: { action: "reset" } });
});

function nullSink() {
  const fd = openSync("/dev/null", "w");
  return {
    end: { fd, name: "/dev/null", isSocket: false },
    [Symbol.dispose]: () => closeSync(fd),
  };
}
