/** zc vfio on a device of the kernel's: mtty, its own sample of one that can be migrated. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  vfioInfoSchema,
  vfioResumeSchema,
  vfioSaveSchema,
  vfioStateSchema,
} from "../../src/vfio/report.schema.ts";
import {
  type DeviceState,
  deviceStates,
  featuresOf,
  opensData,
  pathBetween,
  statesOf,
} from "../../src/vfio/states.ts";
import { type CommandResult, Guest } from "./guest.ts";
import type { Kernel } from "./kernels.ts";
import { describeWithMtty } from "./lab.ts";

const one = "11111111-2222-3333-4444-555555555555";
const two = "22222222-2222-3333-4444-555555555555";
/** struct mtty_data with two ports: a header, and then one register of theirs. */
const stateBytes = 96;
const headerBytes = 24;
const allFeatures = featuresOf(7n);

describeWithMtty("zc vfio", (kernel: Kernel, modules: string) => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await Guest.boot({ kernel });
    await ok(`
      for module in $(cat ${modules}/order); do insmod ${modules}/$module || exit; done
      echo 'module mtty +p' >/proc/dynamic_debug/control
      echo on >/proc/sys/kernel/printk_devkmsg
      for device in ${one} ${two}; do
        echo $device >/sys/class/mdev_bus/mtty/mdev_supported_types/mtty-2/create || exit
      done`);
  });
  afterAll(() => guest?.stop());

  async function ok(command: string): Promise<CommandResult> {
    const result = await guest.run(command);
    expect({ code: result.code, stderr: result.stderr }).toMatchObject({ code: 0 });
    return result;
  }

  test("info tells features, state and ways", async () => {
    const { stdout } = await ok(`src/zc vfio info --json ${one}`);
    const info = vfioInfoSchema.parse(JSON.parse(stdout.toString()));
    expect(info).toMatchObject({
      ...{ device: one, driver: "mtty", pci: true, regions: 9, irqs: 5, dmaLogging: true },
      migration: { ...allFeatures, state: "RUNNING", stopCopySize: stateBytes },
    });
    const ways = statesOf(allFeatures).filter((state) => state !== "RUNNING");
    expect("migration" in info && info.migration?.reachable).toEqual(
      ways.map((state) => ({ state, path: pathBetween("RUNNING", state, allFeatures) })),
    );
  });

  test("from every state to every other it goes as the table says", async () => {
    const { stdout } = await ok(`
      dmesg --clear
      node_modules/.bin/bun test/lab/vfio-walk.ts ${one} /dev/shm/walk.state`);
    const { cells, dma, preCopy } = JSON.parse(stdout.toString());
    const expected = statesOf(allFeatures).flatMap((from) =>
      deviceStates.map((to) => {
        const path = pathBetween(from, to, allFeatures);
        if (path === undefined) return { from, to, state: from, errno: "EINVAL" };
        const [last, beforeLast = from] = [from, ...path].slice(-2).reverse();
        const opened = path.length > 0 && opensData(beforeLast, last ?? from) !== undefined;
        return { from, to, state: to, opened };
      }),
    );
    expect(cells).toEqual(expected);

    const log = await ok("dmesg --notime | grep -E '^walk|mtty_step_state'");
    const walks = expected.map(({ from, to }) => ({
      ...{ from, to },
      path: pathBetween(from, to, allFeatures) ?? [],
    }));
    expect(walksIn(log.stdout.toString())).toEqual(walks);

    expect(preCopy).toEqual({
      infos: [
        { initialBytes: headerBytes, dirtyBytes: 0 },
        { initialBytes: 0, dirtyBytes: 0 },
        null,
      ],
      portions: [
        { bytes: 10, end: "limit" },
        { bytes: headerBytes - 10, end: "paused" },
        { bytes: stateBytes - headerBytes, end: "end" },
      ],
    });
    expect(dma).toMatchObject({ hasDmaLogging: true, refused: "EINVAL" });
    // mtty notes nothing; and a kernel without iommufd reads no log at all.
    if (!Array.isArray(dma.taken)) expect(dma.taken.errnoName).toBe("EOPNOTSUPP");
    else expect(dma.taken).toEqual([]);
  });

  test("what is saved over TCP and resumed elsewhere is the same", async () => {
    const { stdout, stderr } = await ok(`
      cp /dev/shm/walk.state /dev/shm/first
      printf 'zc on the line' | dd of=/dev/shm/first bs=1 seek=${headerBytes} conv=notrunc 2>&1
      src/zc vfio resume -q --run ${one} /dev/shm/first || exit
      src/zc recv -q 127.0.0.1:5001 /dev/shm/sent & receiver=$!
      src/zc vfio save --json --run ${one} --retry 20s 127.0.0.1:5001 || exit
      wait $receiver && cmp /dev/shm/first /dev/shm/sent || exit
      src/zc send -q --retry 20s 127.0.0.1:5002 /dev/shm/sent & sender=$!
      src/zc vfio resume --json --run ${two} 127.0.0.1:5002 && wait $sender || exit
      src/zc vfio save -q ${two} --no-pre-copy | cmp - /dev/shm/first`);
    const [saved = "", resumed = ""] = stdout.toString().split("\n").filter(isJson);
    expect(vfioSaveSchema.parse(JSON.parse(saved))).toMatchObject({
      ...{ bytes: stateBytes, preCopyBytes: headerBytes, preCopyEnd: "converged" },
      state: "RUNNING",
    });
    expect(vfioResumeSchema.parse(JSON.parse(resumed))).toMatchObject({
      ...{ bytes: stateBytes, state: "RUNNING" },
    });
    expect(stderr).toContain("stopping it, from PRE_COPY, about 96 B");
  });

  test("ended in the middle of a save it runs on, with a line that says so", async () => {
    const { stdout, stderr } = await ok(`
      ${savingToAPeerThatNeverReads}
      src/zc vfio state ${one} && exit 1
      kill -TERM $save; wait $save; echo $?; kill $peer; cat /dev/shm/notes`);
    const lines = stdout.toString().trimEnd().split("\n");
    expect(lines[0]).toBe("143");
    expect(lines.slice(-2)).toEqual([
      `zc: ${one} is in STOP_COPY: going to RUNNING`,
      `zc: ${one} rests in RUNNING, and lost nothing`,
    ]);
    expect(stderr).toContain("EBUSY");
    expect(stderr).toContain("somebody else has it open");
  });

  test("killed in the middle of a save it can be saved again", async () => {
    const { stderr } = await ok(`
      ${savingToAPeerThatNeverReads}
      kill -KILL $save; wait $save; kill $peer
      src/zc vfio save ${one} | cmp - /dev/shm/first`);
    expect(stderr).toContain(`zc: ${one} is in STOP_COPY: going to STOP`);
  });

  /** Until all of its state is on the way, and not taken. */
  const savingToAPeerThatNeverReads = `
      rm -f /dev/shm/held /dev/shm/peer; mkfifo /dev/shm/held
      python3 test/support/unread-peer.py /dev/shm/peer ${stateBytes} >/dev/shm/held & peer=$!
      exec 7</dev/shm/held; read -r _ <&7
      src/zc vfio save ${one} unix:/dev/shm/peer 2>/dev/shm/notes & save=$!
      read -r _ <&7`;

  test("a state that is none is refused, and the device reset", async () => {
    const { stdout } = await guest.run(`
      head -c ${stateBytes} /dev/zero | src/zc vfio resume -q --json ${two}; echo $?
      head -c ${stateBytes - 1} /dev/shm/first | src/zc vfio resume -q --json ${two}; echo $?
      { cat /dev/shm/first; echo; } | src/zc vfio resume -q --json ${two}; echo $?`);
    const lines = stdout.toString().trimEnd().split("\n");
    const [header, short, long] = lines
      .filter(isJson)
      .map((line) => vfioResumeSchema.parse(JSON.parse(line)));
    const refused = (errnoName: string) => ({
      error: { code: "PROTOCOL", errnoName },
      device: { found: "RESUMING", state: "RUNNING", action: "reset" },
    });
    expect(header).toMatchObject(refused("EFAULT"));
    expect(short).toMatchObject(refused("EINVAL"));
    expect(long).toMatchObject(refused("ENOMEM"));
    expect(lines.filter((line) => !isJson(line))).toEqual(["4", "4", "4"]);
  });

  test("a session that was left behind is not gone on with", async () => {
    const { stdout, stderr } = await guest.run(`
      src/zc vfio state --json ${two} resuming
      src/zc vfio state --json ${two} STOP; echo $?
      src/zc vfio state --json ${two} --reset`);
    const [entered = "{}", refused = "{}", code, reset = "{}"] = stdout.toString().split("\n");
    expect(vfioStateSchema.parse(JSON.parse(entered))).toEqual({
      ...{ device: two, before: "RUNNING", state: "RESUMING", reset: false },
      path: ["RUNNING_P2P", "STOP", "RESUMING"] satisfies DeviceState[],
    });
    expect(vfioStateSchema.parse(JSON.parse(refused))).toMatchObject({
      error: { code: "DEVICE", hint: `zc vfio state ${two} --reset` },
    });
    expect(code).toBe("1");
    expect(JSON.parse(reset)).toMatchObject({ before: "RESUMING", state: "RUNNING", reset: true });
    expect(stderr).toContain("zc: RUNNING → RUNNING_P2P → STOP → RESUMING");
  });

  test("a sink that is full, and a device that is not VFIO's", async () => {
    const { stdout, stderr } = await guest.run(`
      src/zc vfio save -q ${two} /dev/full; echo $?
      src/zc vfio info 0000:00:1f.0; echo $?`);
    expect(stdout.toString()).toBe("1\n3\n");
    const lines = stderr.split("\n");
    expect(lines).toContain(`zc: ${two} rests in RUNNING, and lost nothing`);
    expect(lines).toContain("zc: [WRITE_SINK] write /dev/full: ENOSPC (no space left on device)");
    expect(stderr).toContain("driverctl set-override 0000:00:1f.0 vfio-pci");
  });
});

function isJson(line: string): boolean {
  return line.startsWith("{");
}

/** mtty's steps between "walk FROM TO" and "walked". */
function walksIn(log: string): object[] {
  const walks: { from: string; to: string; path: DeviceState[] }[] = [];
  let isWalking = false;
  for (const line of log.trimEnd().split("\n")) {
    const [, from = "", to = ""] = /^walk (\S+) (\S+)$/.exec(line) ?? [];
    const step = deviceStates[Number(/mtty_step_state: \d+ -> (\d+)/.exec(line)?.[1] ?? -1)];
    if (from !== "") walks.push({ from, to, path: [] });
    isWalking = from !== "" || (isWalking && line !== "walked");
    if (isWalking && step !== undefined) walks.at(-1)?.path.push(step);
  }
  return walks;
}
