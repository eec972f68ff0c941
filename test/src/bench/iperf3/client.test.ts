/** zc bench --iperf3, against iperf3 itself. */
import { describe, expect, test } from "vitest";
import { formatAddress, parseAddress } from "../../../../src/address/index.ts";
import { bench } from "../../../../src/bench/bench.ts";
import { sumOf } from "../../../../src/bench/streams.ts";
import { parseIperf3Address } from "../../../../src/commands/bench/iperf3.ts";
import { isAbsent } from "../../../peers/installed.ts";
import { openDescriptors, openedSince } from "../../../support/descriptors.ts";
import { startZc, zc } from "../../../support/zc.ts";
import { measured, parse, single, zcBench } from "./ours.ts";
import { startEndless, startIperf3Server, startTalkingServer } from "./real.ts";

const twice = [...single, "--repeat=2", "--bytes=50M"];
const endless = ["--modes=copy", "--sizes=1M", "--progress=plain", "--repeat=50", "--json"];

describe.skipIf(isAbsent("iperf3"))("measures with iperf3", () => {
  test("what it sends: bytes and seconds are the server's", async () => {
    const server = await startIperf3Server();
    const result = await measured(server.port, ...twice, "--source=4M", "--streams=3");
    const [, ...reports] = await server.reports(3); // the first is of the warm-up
    expect(result.settings.iperf3).toEqual({ reverse: false });
    expect(result.peer).toBeUndefined();
    const runs = result.cells.flatMap(({ runs }) => runs);
    expect(runs.length).toBe(2);
    for (const [round, { bytes, seconds, bytesPerSecond, sender, receiver }] of runs.entries()) {
      const { sum_received: received } = reports[round]?.end ?? {};
      expect(bytes).toBe(received?.bytes);
      expect(seconds).toBeCloseTo(received?.seconds ?? 0, 3);
      expect(bytesPerSecond).toBe(bytes / seconds);
      // Each stream's share is rounded up to whole blocks.
      expect(bytes).toBeLessThanOrEqual(3 * 17 * (1 << 20));
      expect(sender.calls).toBeGreaterThanOrEqual(51);
      expect(sender.user + sender.system).toBeGreaterThan(0);
      expect(receiver.user + receiver.system).toBeGreaterThan(0);
    }
  });

  test("what it receives: bytes and seconds are its own", async () => {
    const server = await startIperf3Server();
    const args = ["--streams=2", "--reverse", "--rx-modes=copy,splice"];
    const { cells, settings } = await measured(server.port, ...twice, ...args);
    const [, , ...reports] = await server.reports(6);
    expect(settings).toMatchObject({ iperf3: { reverse: true }, sourceBytes: 0 });
    expect(cells.map(({ receiveMode }) => receiveMode)).toEqual(["copy", "splice"]);
    const runs = cells.flatMap(({ runs }) => runs);
    const sent = reports.map(({ end }) => end.sum_sent.bytes);
    expect(sumOf(runs, ({ bytes }) => bytes)).toBeLessThanOrEqual(sumOf(sent, (bytes) => bytes));
    for (const { bytes, sender, receiver, retransmits } of runs) {
      expect(bytes).toBeGreaterThanOrEqual(50 << 20);
      expect(receiver.calls).toBeGreaterThan(0);
      expect(sender.user + sender.system).toBeGreaterThan(0);
      expect(retransmits).toBeGreaterThanOrEqual(0);
    }
  });

  test("datagrams that it sends: bytes and losses are the server's", async () => {
    const server = await startIperf3Server();
    const cells = await measuredDatagrams(server.port, "--source=4M", "--repeat=2");
    const [, ...reports] = await server.reports(3);
    const [{ runs, transport } = { runs: [], transport: "" }] = cells;
    expect([cells.length, transport, runs.length]).toEqual([1, "udp", 2]);
    for (const [round, { bytes, lostShare }] of runs.entries()) {
      const { sum_received: received } = reports[round]?.end ?? {};
      expect(bytes).toBe(received?.bytes);
      expect(lostShare).toBe((received?.lost_packets ?? 0) / (received?.packets ?? 0));
    }
  });

  test("datagrams that it receives", async () => {
    const server = await startIperf3Server();
    const [cell] = await measuredDatagrams(server.port, "--reverse", "--repeat=1");
    const [, report] = await server.reports(2);
    const [{ bytes = 0, lostShare, receiver } = { receiver: { calls: 0 } }] = cell?.runs ?? [];
    expect(bytes % 65_507).toBe(0);
    expect(bytes).toBeGreaterThanOrEqual(50 << 20);
    expect(bytes).toBeLessThanOrEqual(report?.end.sum_sent.bytes ?? 0);
    expect(receiver.calls).toBeGreaterThan(0);
    expect(lostShare).toBeGreaterThanOrEqual(0);
    expect(lostShare).toBeLessThan(1);
  });

  test("by every mode", async () => {
    const server = await startIperf3Server();
    const modes = ["sendfile", "splice", "msg-zerocopy"];
    const cell = [`--modes=${modes}`, "--sizes=1M", "--source=4M", "--repeat=1", "--bytes=50M"];
    const { cells } = await measured(server.port, ...cell);
    expect(cells.map(({ mode, runs }) => [mode, runs.length])).toEqual([
      ...modes.map((mode) => [mode, 1]),
      ["copy", 1],
    ]);
    const { sends, completions } = cells[2]?.runs[0]?.zerocopy ?? {};
    expect(sends).toBeGreaterThanOrEqual(50);
    expect(completions).toBe(sends);
    await server.stop();
  });

  test("with the segments that both ends are told", async () => {
    const server = await startIperf3Server();
    const { settings } = await measured(server.port, ...twice, "--source=4M", "--mss=1000");
    expect(settings.mss).toBe(1000);
    for (const { start } of await server.reports(3)) expect(start.tcp_mss).toBe(1000);
  });

  test("what it cannot do is a cell's error, and the rest goes on", async () => {
    const server = await startIperf3Server();
    const args = ["--modes=copy", "--sizes=2M", "--repeat=1", "--bytes=5M"];
    const { cells } = await measured(server.port, ...args);
    expect(cells.map(({ size, runs }) => [size, runs.length])).toEqual([
      [2 << 20, 0],
      [1 << 20, 1],
    ]);
    expect(cells[0]?.error?.message).toMatch(/1 to 1048576 of them in a call/);
    const large = await zcBench(server.port, ...single, "--rcvbuf=512M", "--json");
    expect(large.code).toBe(3);
    const [cell] = parse(large.stdout).cells;
    expect(cell?.error?.message).toMatch(/its socket buffers cannot be so large/);
    await server.stop();
  });

  test("twenty times, and nothing is left behind", async () => {
    const server = await startIperf3Server();
    let rounds = 0;
    let before: ReadonlySet<string> | undefined;
    await bench({
      address: parseAddress(`127.0.0.1:${server.port}`),
      iperf3: { reverse: false },
      ...{ transports: [], modes: ["copy"], receiveModes: ["copy"], sizes: [1 << 20] },
      ...{ bytes: 1 << 20, repeat: 20, streams: 2, sourceBytes: 4 << 20 },
      ...{ touch: false, misalign: 0, hugePages: false },
      onProgress: () => {
        rounds++;
        before ??= openDescriptors();
      },
    });
    expect(rounds).toBe(21);
    await expect.poll(() => openedSince(before ?? new Set())).toEqual([]);
    await server.stop();
  });

  test("until it is interrupted, and the server takes the next test", async () => {
    const server = await startIperf3Server();
    const running = startZc(["bench", "--iperf3", `127.0.0.1:${server.port}`, ...endless]);
    await running.note(/1\/\d+ tcp copy/);
    running.child.kill("SIGINT");
    const { code, stdout } = await running.result;
    expect(code).toBe(130);
    expect(parse(stdout).isComplete).toBe(false);
    await measured(server.port, ...twice);
    await server.stop();
  });
});

describe.skipIf(isAbsent("iperf3"))("is told by iperf3", () => {
  test("that it is busy", async () => {
    const server = await startIperf3Server();
    const other = await startEndless(`tcp:127.0.0.1:${server.port}`);
    const { code, stderr } = await zcBench(server.port, ...single);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^zc: \[CONNECT\] test with tcp:\S+: it is busy with another test\n$/);
    other.child.kill("SIGINT");
    await other.result;
    await server.stop();
  });

  test.each([
    ["SIGTERM", /test with tcp:\S+: it (was stopped|closed the control connection)$/],
    ["SIGKILL", /test with tcp:\S+: it closed the control connection$/],
  ] as const)("that it is gone: %s", async (signal, reason) => {
    for (const args of [[], ["--reverse"]]) {
      const server = await startTalkingServer();
      const at = `127.0.0.1:${server.port}`;
      const running = startZc(["bench", "--iperf3", at, ...endless, ...args]);
      await server.running.note(/ sec /);
      server.running.child.kill(signal);
      const { code, stderr } = await running.result;
      expect(code).toBe(1);
      expect(stderr.trimEnd().split("\n").at(-1)).toMatch(reason);
    }
  });
});

test.each([
  [["--iperf3"], /ADDR is missing/],
  [["--reverse", "host:1"], /--reverse: it is for --iperf3/],
  [["--iperf3", "host", "--latency"], /--latency: iperf3 answers no requests/],
  [["--iperf3", "host", "--time=1500ms"], /--time: iperf3 has whole seconds/],
  [["--iperf3", "host", "--rx-modes=splice"], /--rx-modes: how an iperf3 server receives/],
  [["--iperf3", "host", "--transport=tcp"], /ADDR says it already/],
  [["--iperf3", "unix:/tmp/socket"], /iperf3 has TCP and UDP/],
  [["--iperf3", "vsock:3:5201"], /iperf3 has TCP and UDP/],
  [["--iperf3", "host", "--reverse", "--touch"], /--touch: with --reverse it is the server/],
  [["--iperf3", "host", "--reverse", "--modes=splice"], /sends by copy or sendfile/],
  [["--iperf3", "udp:host", "--modes=splice"], /--modes: datagrams are copied/],
  [["--iperf3", "udp:host", "--mss=4108"], /--mss: it is TCP's, and not for udp/],
  [["--iperf3", "host", "--mss=32768"], /--mss: iperf3 has up to 32767/],
])("usage: %j", async (args, reason) => {
  const { code, stderr } = await zc(["bench", ...args]);
  expect({ code, stderr }).toMatchObject({ code: 2 });
  expect(stderr).toMatch(reason);
});

test.each([
  ["host", "tcp:host:5201"],
  ["[::1]", "tcp:[::1]:5201"],
  ["10.0.0.1:99", "tcp:10.0.0.1:99"],
  ["udp:host", "udp:host:5201"],
  ["", "tcp::5201"],
  ["*", "tcp:*:5201"],
])("the port of %j", (text, address) => {
  expect(formatAddress(parseIperf3Address(text))).toBe(address);
});

async function measuredDatagrams(port: number, ...args: readonly string[]) {
  const test = ["--iperf3", `udp:127.0.0.1:${port}`, "--sizes=65507", "--bytes=50M", "--streams=2"];
  const { stdout } = await zc(["bench", "--json", ...test, ...args]);
  return parse(stdout).cells;
}
