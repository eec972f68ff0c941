/** zc bench with both ends here: what it measures is what was moved, and every end is clean. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { benchResultSchema } from "../../../src/bench/result.schema.ts";
import type { BenchResult } from "../../../src/bench/result.ts";
import { scratch } from "../../support/scratch.ts";
import { type Result, type Running, startZc, zc } from "../../support/zc.ts";

const small = ["--source", "4M", "--repeat", "2"];

async function measure(...args: readonly string[]): Promise<BenchResult> {
  const result = await zc(["bench", "--json", ...small, ...args]);
  expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: "" });
  return parse(result);
}

function parse({ stdout }: Result): BenchResult {
  return benchResultSchema.parse(JSON.parse(stdout.toString())) as BenchResult;
}

function cellOf({ cells }: BenchResult, mode: string, size: number) {
  const found = cells.find((cell) => cell.mode === mode && cell.size === size);
  if (found === undefined) throw new Error(`no ${mode} ${size}`);
  return found;
}

describe("a run", () => {
  test.each(["copy", "sendfile", "splice", "msg-zerocopy"])(
    "over TCP by %s moves the bytes that were asked for, in calls of the size",
    async (mode) => {
      const result = await measure(
        "--transport=tcp",
        `--modes=${mode}`,
        "--sizes=10000",
        "--bytes=1000001",
      );
      const { runs, summary, buffers } = cellOf(result, mode, 10_000);
      expect(runs.map(({ bytes }) => bytes)).toEqual([1_000_001, 1_000_001]);
      for (const { sender, receiver, seconds, bytesPerSecond, retransmits } of runs) {
        expect(sender.calls).toBeGreaterThanOrEqual(101);
        expect(receiver.calls).toBeGreaterThan(0);
        expect(sender.user + sender.system + receiver.user + receiver.system).toBeGreaterThan(0);
        expect(bytesPerSecond).toBeCloseTo(1_000_001 / seconds, 3);
        expect(retransmits).toBeGreaterThanOrEqual(0);
      }
      expect(summary?.bytesPerSecond.median).toBeGreaterThan(0);
      expect(buffers?.sender).toBeGreaterThan(0);
    },
  );

  test("by msg-zerocopy accounts for every send, and loopback copies them all", async () => {
    const result = await measure(
      "--transport=tcp",
      "--modes=msg-zerocopy",
      "--sizes=64K",
      "--bytes=4M",
    );
    const { runs, summary } = cellOf(result, "msg-zerocopy", 65_536);
    for (const { sender, zerocopy } of runs) {
      expect(zerocopy.completions).toBe(zerocopy.sends);
      expect(zerocopy.sends).toBe(sender.calls);
      expect(zerocopy.notifications).toBeLessThanOrEqual(zerocopy.completions);
    }
    expect(summary?.copiedShare).toBe(1);
    expect(summary?.notificationsPerSend).toBeGreaterThan(0);
  });

  test("received by tcp-zerocopy tells which share the receiver copied", async () => {
    const options = ["--transport=tcp", "--rx-modes=tcp-zerocopy,copy", "--sizes=64K"];
    const { cells } = await measure(...options, "--modes=msg-zerocopy", "--bytes=16M");
    const [mapped, copied] = ["tcp-zerocopy", "copy"].map((mode) => {
      return cells.find(({ receiveMode, isBaseline }) => receiveMode === mode && !isBaseline);
    });
    expect(mapped?.summary?.receiverCopiedShare).toBeLessThan(0.5);
    expect(copied?.summary?.receiverCopiedShare).toBeUndefined();
    for (const { bytes, zerocopy } of mapped?.runs ?? []) {
      expect(zerocopy.received).toBeGreaterThan(bytes / 2);
      expect(zerocopy.received).toBeLessThanOrEqual(bytes);
    }
  });

  test("with --mss, a page and TCP's timestamps, has nearly all mapped", async () => {
    const options = ["--transport=tcp", "--rx-modes=tcp-zerocopy", "--sizes=64K", "--bytes=16M"];
    const result = await measure(...options, "--modes=msg-zerocopy", "--mss=4108");
    const { summary } = cellOf(result, "msg-zerocopy", 65_536);
    expect(summary?.receiverCopiedShare).toBeLessThan(0.02);
    expect(result.settings.mss).toBe(4108);
  });

  test("that the receiver cannot take says that, not what the sender met", async () => {
    const options = ["--transport=unix", "--rx-modes=tcp-zerocopy", "--sizes=64K", "--modes=copy"];
    const { cells } = await measure(...options, "--bytes=16M");
    const refused = cells.find(({ receiveMode }) => receiveMode === "tcp-zerocopy");
    expect(refused?.error).toMatchObject({ code: "UNSUPPORTED" });
    expect(refused?.error?.message).toMatch(/by tcp-zerocopy: .*EOPNOTSUPP/);
  });

  test("is limited by time alone", async () => {
    const result = await measure("--transport=unix", "--modes=copy", "--sizes=1M", "--time=200ms");
    const { runs } = cellOf(result, "copy", 1 << 20);
    for (const { seconds } of runs) expect(seconds).toBeGreaterThan(0);
    expect(result.settings.seconds).toBe(0.2);
    expect(result.settings).not.toHaveProperty("bytes");
  });

  test("of several streams moves them all, and adds them up", async () => {
    const result = await measure(
      "--transport=tcp",
      "--modes=copy",
      "--sizes=1M",
      "--streams=3",
      "--bytes=3M",
    );
    const { runs } = cellOf(result, "copy", 1 << 20);
    expect(runs.map(({ bytes }) => bytes)).toEqual([3 << 20, 3 << 20]);
  });

  test("of datagrams counts what arrived, and what did not", async () => {
    const result = await measure(
      "--transport=udp",
      "--modes=copy",
      "--sizes=1000,1M",
      "--time=200ms",
    );
    const { runs, summary } = cellOf(result, "copy", 1000);
    for (const { bytes, receiver, lostShare } of runs) {
      expect(bytes).toBe(1000 * receiver.calls);
      expect(lostShare).toBeGreaterThanOrEqual(0);
      expect(lostShare).toBeLessThan(1);
    }
    expect(summary?.lostShare).toBeDefined();
    expect(cellOf(result, "copy", 1 << 20).error?.message).toMatch(/at most 65507/);
    expect(cellOf(result, "copy", 65_507).isBaseline).toBe(true);
  });
});

describe("requests", () => {
  const paced = ["--latency", "--transport=unix", "--modes=sendfile"];

  test("are answered, each one counted", async () => {
    const args = [...paced, "--sizes=64K", "--requests=125", "--time=800ms"];
    const result = await measure(...args);
    const { runs, summary } = cellOf(result, "sendfile", 65_536);
    for (const { latency, bytes } of runs) {
      expect(latency).toMatchObject({ requests: 100, answered: 100 });
      expect(bytes).toBe(100 * 65_536);
      const { p50 = 0, p90 = 0, p99 = 0, p999 = 0, max = 0 } = latency ?? {};
      expect([p50, p90, p99, p999, max].toSorted((one, other) => one - other)).toEqual([
        ...[p50, p90, p99, p999, max],
      ]);
    }
    expect(summary?.latency?.p50.median).toBeGreaterThan(0);
    expect(result.settings.requestsPerSecond).toBe(125);
  });

  test("over TCP, of several parts, and without copies", async () => {
    const args = ["--latency", "--transport=tcp", "--modes=msg-zerocopy", "--sizes=1M"];
    const result = await measure(...args, "--requests=20", "--time=800ms");
    const { runs } = cellOf(result, "msg-zerocopy", 1 << 20);
    expect(runs.map(({ latency }) => [latency?.requests, latency?.answered])).toEqual([
      [16, 16],
      [16, 16],
    ]);
  });

  test("that were due while the receiver slept count from when they were due", async () => {
    const one = ["--latency", "--transport=unix", "--modes=copy", "--sizes=1M", "--requests=200"];
    const running = startZc(["bench", ...one, "--time=1500ms", ...noted]);
    await running.note(/1\/\d+ unix/); // the warm-up is over
    const [, receiver = 0] = childrenOf(running);
    const before = bytesRead(receiver);
    while (bytesRead(receiver) < before + (10 << 20)) await Bun.sleep(1); // the first round runs
    process.kill(receiver, "SIGSTOP");
    await Bun.sleep(750); // what is measured, not a wait for something
    process.kill(receiver, "SIGCONT");
    const { runs } = cellOf(parse(await running.result), "copy", 1 << 20);
    // Half of a round's requests were due meanwhile, and waited 375 ms on average.
    expect(Math.max(...runs.map(({ latency }) => latency?.p90 ?? 0))).toBeGreaterThan(100e6);
    for (const { latency } of runs) expect(latency).toMatchObject({ requests: 300, answered: 300 });
  });

  test("more than there can be: those without an answer count as long as they waited", async () => {
    const args = ["--latency", "--transport=unix", "--modes=copy", "--sizes=1M"];
    const result = await measure(...args, "--requests=1000000", "--time=10ms");
    for (const { latency } of cellOf(result, "copy", 1 << 20).runs) {
      expect(latency?.requests).toBe(10_000);
      expect(latency?.answered).toBeLessThan(10_000);
      expect(latency?.p50).toBeGreaterThan(10e6);
    }
  });

  test("in datagrams are refused: one that is lost has no answer", async () => {
    const { code, stdout } = await zc([
      "bench",
      "--json",
      "--latency",
      "--transport=udp",
      ...small,
    ]);
    expect(code).toBe(2);
    expect(parse({ stdout } as Result).cells[0]?.error?.message).toMatch(/lost has no answer/);
  });
});

/** By read(2), proc(5). */
function bytesRead(pid: number): number {
  return Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]);
}

const noted = [...small, "--progress=plain", "--json"];

describe("a cell", () => {
  test("that cannot run says why, and the rest goes on", async () => {
    const result = await measure(
      "--transport=unix",
      "--modes=msg-zerocopy,sendfile",
      "--sizes=64K",
      "--bytes=16M",
    );
    expect(cellOf(result, "msg-zerocopy", 65_536)).toMatchObject({
      runs: [],
      error: { code: "UNSUPPORTED" },
    });
    expect(cellOf(result, "msg-zerocopy", 65_536).error?.message).toMatch(/EOPNOTSUPP/);
    expect(cellOf(result, "sendfile", 65_536).runs.length).toBe(2);
  });

  test("that needs more memory than there is says so, and the rest goes on", async () => {
    const args = ["--transport=unix", "--modes=copy", "--sizes=1G,64K", "--streams=128"];
    const result = await measure(...args, "--bytes=16M");
    expect(cellOf(result, "copy", 1 << 30).error?.message).toMatch(/would take 2\.3 TiB of this/);
    expect(cellOf(result, "copy", 65_536).runs.length).toBe(2);
  });

  test("is always held against copies of 1 MiB", async () => {
    const result = await measure(
      "--transport=unix",
      "--modes=sendfile",
      "--sizes=64K",
      "--bytes=16M",
    );
    expect(cellOf(result, "copy", 1 << 20)).toMatchObject({ isBaseline: true });
    expect(cellOf(result, "copy", 1 << 20).runs.length).toBe(2);
  });
});

test("says how it measured", async () => {
  const args = [
    "--touch",
    "--misalign=3",
    "--cpu=1,0",
    "--transport=unix",
    "--modes=copy",
    "--time=20ms",
  ];
  const { settings, machine, isComplete } = await measure(...args);
  expect(settings).toEqual({
    ...{ sourceBytes: 4 << 20, repeat: 2, seconds: 0.02, streams: 1 },
    ...{ touch: true, misalign: 3, hugePages: false, cpu: [1, 0] },
  });
  expect(machine.kernel).toBe(readFileSync("/proc/sys/kernel/osrelease", "utf8").trim());
  expect(isComplete).toBe(true);
});

test("--cpu binds each end to its processor", async () => {
  const running = startZc(["bench", ...endless, "--cpu", "1,0"]);
  await running.note(/2\/\d+ unix/);
  const processors = childrenOf(running).map((child) => {
    return /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync(`/proc/${child}/status`, "utf8"))?.[1];
  });
  expect(processors).toEqual(["1", "0"]);
  running.child.kill("SIGINT");
  await running.result;
});

/** Rounds of 100 ms, far more than a test would wait for. */
const endless = [
  ...["--transport=unix", "--modes=copy", "--time=100ms", "--repeat=50", "--source=4M"],
  ...["--progress=plain", "--json"],
];

describe("interrupted", () => {
  test("it prints what was measured, and leaves nobody behind", async () => {
    const running = startZc(["bench", ...endless]);
    await running.note(/7\/\d+ unix/);
    const children = childrenOf(running);
    expect(children.length).toBe(2);
    running.child.kill("SIGINT");
    const result = await running.result;
    expect(result.code).toBe(130);
    const { cells, isComplete } = parse(result);
    expect(isComplete).toBe(false);
    expect(cells.flatMap(({ runs }) => runs).length).toBeGreaterThan(0);
    expect(children.filter((child) => existsSync(`/proc/${child}`))).toEqual([]);
  });

  test("an end that is killed is an error, in one line, after what was measured", async () => {
    const running = startZc(["bench", ...endless]);
    await running.note(/5\/\d+ unix/);
    const [sender = 0, receiver = 0] = childrenOf(running);
    process.kill(receiver, "SIGKILL");
    const result = await running.result;
    expect(result.code).toBe(1);
    expect(result.stderr.trimEnd().split("\n").at(-1)).toMatch(
      /^zc: \[PEER_RESET\] measure with .* has gone/,
    );
    const { cells, isComplete, error } = parse(result);
    expect(isComplete).toBe(false);
    expect(error?.message).toMatch(/has gone/);
    expect(cells[0]?.runs.length).toBeGreaterThan(0);
    expect(existsSync(`/proc/${sender}`)).toBe(false);
  });

  test("an end that hangs is ended too", async () => {
    const running = startZc(["bench", ...endless]);
    await running.note(/3\/\d+ unix/);
    const children = childrenOf(running);
    process.kill(children[1] ?? 0, "SIGSTOP");
    running.child.kill("SIGINT");
    expect((await running.result).code).toBe(130);
    expect(children.filter((child) => existsSync(`/proc/${child}`))).toEqual([]);
  });

  test("its ends end with it, even when it is killed", async () => {
    const running = startZc(["bench", ...endless]);
    await running.note(/3\/\d+ unix/);
    const children = childrenOf(running);
    running.child.kill("SIGKILL");
    await running.result;
    while (children.some(isRunning)) await Bun.sleep(5);
  });
});

/** In the order in which they were started: sender, receiver. */
/** In the order in which they began. */
function childrenOf({ child: { pid } }: Running): number[] {
  const processes = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
  const children = processes.filter((process) => parentOf(process) === pid);
  return children.sort((one, other) => beginOf(one) - beginOf(other) || one - other);
}

/** In clock ticks since the machine did: proc(5), /proc/PID/stat. */
function beginOf(pid: number): number {
  const [, fields = ""] = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ");
  return Number(fields.split(" ")[19]);
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
  } catch {
    return undefined;
  }
}

/** A zombie is not. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

describe("prints", () => {
  const quick = [
    ...small,
    "--transport=unix",
    "--modes=copy,sendfile",
    "--sizes=1M",
    "--bytes=16M",
  ];

  test("a table, and what it comes to", async () => {
    const { code, stdout, stderr } = await zc(["bench", ...quick]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.toString()).toMatch(/^unix\n +mode +size +GiB\/s/);
    expect(stdout.toString()).toMatch(/\n [*~] +(copy|sendfile) +1 MiB .*█/);
    expect(stdout.toString()).toMatch(/\nunix: fastest is (copy|sendfile) 1 MiB, /);
    expect(stdout.toString()).toMatch(/fewer than 4 rounds cannot tell/);
  });

  test("a line a run as it goes on", async () => {
    const { stderr } = await zc(["bench", ...quick, "--progress=plain"]);
    expect(stderr.trimEnd().split("\n").at(-1)).toMatch(/^6\/6 unix \S+ 1 MiB: .*B\/s$/);
  });

  test("CSV, a row a run; Markdown", async () => {
    const csv = await zc(["bench", ...quick, "--csv"]);
    expect(csv.stdout.toString().trimEnd().split("\n").length).toBe(1 + 2 * 2);
    const markdown = await zc(["bench", ...quick, "--markdown"]);
    expect(markdown.stdout.toString()).toMatch(/^\| sendfile +\|/m);
  });

  test("a page with plots into a file, and the table too", async () => {
    using folder = scratch();
    const file = folder.file("bench.html");
    const { code, stdout } = await zc(["bench", ...quick, "--html", file]);
    expect(code).toBe(0);
    expect(stdout.toString()).toMatch(/^unix\n/);
    expect(readFileSync(file, "utf8")).toMatch(/^<!doctype html>/i);
    expect(readdirSync(folder.path)).toEqual(["bench.html"]);
  });

  test("the result even where the page cannot be written; where it never could, nothing runs", async () => {
    const full = await zc(["bench", ...quick, "--html", "/dev/full"]);
    expect({ code: full.code, stderr: full.stderr }).toEqual({
      code: 1,
      stderr: expect.stringMatching(/^zc: \[WRITE_SINK\] write \/dev\/full: ENOSPC .*\n$/),
    });
    expect(full.stdout.toString()).toMatch(/^unix\n/);
    const nowhere = await zc(["bench", ...quick, "--html", "/nowhere/bench.html"]);
    expect(nowhere.code).toBe(1);
    expect(nowhere.stdout.length).toBe(0);
  });
});

describe("refuses", () => {
  test.each([
    [["--transport=carrier-pigeon"], /"carrier-pigeon" is none of tcp/],
    [["--modes=copy,telepathy"], /"telepathy" is none of/],
    [["--sizes=0"], /not within 1 and 1G/],
    [["--sizes=64K", "--pages=16"], /one of them/],
    [["--bytes=1G", "--time=1s"], /one of them/],
    [["--json", "--csv"], /one of them/],
    [["--html=-"], /it needs a file/],
    [["--time=1ms"], /not within 10ms and 1h/],
    [["--cpu=1"], /two processors/],
    [["--misalign=4096"], /whole number from 0 to 4095/],
    [["--repeat=0"], /whole number from 1 to 50/],
    [["tcp:host:1", "--transport=tcp"], /ADDR says it already/],
    [["fd:0"], /connections of its own/],
    [["serve", "fd:0"], /connections of its own/],
    [["--sndbuf=4G"], /not within 1 and 2147483647 bytes/],
    [["--bytes=2000T"], /not within 1 and/],
    [["--cpu=5000,0"], /whole number from 0 to 1023/],
    [["--latency", "--streams=2"], /one of them/],
    [["--requests=10"], /it is for --latency/],
    [["--mss=87"], /whole number from 88 to 65495/],
    [["--mss=4108"], /--mss: it is TCP's, and not for unix; .*--transport tcp/],
    [["vsock:3:1", "--mss=4108"], /--mss: it is TCP's, and not for vsock/],
    [["vsock", "--mss=4108"], /--mss: it is TCP's, and not for vsock/],
  ])("%j", async (args, reason) => {
    const { code, stderr, stdout } = await zc(["bench", ...args]);
    expect({ code, stdout: stdout.toString() }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(reason);
    expect(stderr.trimEnd().split("\n").length).toBe(1);
  });

  test("a processor that is not there", async () => {
    const { code, stderr } = await zc(["bench", ...small, "--cpu=0,1000"]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^zc: \[UNSUPPORTED\] bind to processor 1000: EINVAL/);
  });
});
