/** zc bench serve --iperf3, and iperf3 itself, that measures with it. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isAbsent } from "../../../peers/installed.ts";
import { listening, type Running, zc } from "../../../support/zc.ts";
import { iperf3, type Report, startEndless } from "./real.ts";

const MiB = 1 << 20;

async function startServer(...args: readonly string[]): Promise<Running & { address: string }> {
  return listening(["bench", "serve", "--iperf3", "127.0.0.1:0", ...args]);
}

async function stop(server: Running): Promise<void> {
  server.child.kill("SIGTERM");
  expect((await server.result).code).toBe(143);
}

describe.skipIf(isAbsent("iperf3"))("iperf3 measures", () => {
  let server: Running & { address: string };
  let sockets = 0;
  let tests = 0;

  beforeAll(async () => {
    server = await startServer();
    sockets = socketsOf(server);
  });

  afterAll(() => stop(server));

  /** What iperf3 says of a test, and what the server does. */
  async function measured(...args: readonly string[]): Promise<{ report: Report; line: string }> {
    const { code, report } = await iperf3(server.address, ...args);
    expect({ code, error: report.error }).toEqual({ code: 0 });
    tests++;
    const others = "(?:(?!zc: tested)[^\\n]*\\n)*";
    const [all] = await server.note(new RegExp(`^(?:${others}zc: tested[^\\n]*\\n){${tests}}`));
    return { report, line: all.trimEnd().split("\n").at(-1) ?? "" };
  }

  function bytesIn(line: string, which: "received" | "sent"): number {
    const [, bytes = ""] = new RegExp(`${which} ([\\d,]+) bytes`).exec(line) ?? [];
    return Number(bytes.replaceAll(",", ""));
  }

  /** "3 of 100", of datagrams. */
  function lossIn(line: string): string {
    const [, lost = "", all = ""] = /, ([\d,]+) of ([\d,]+) lost/.exec(line) ?? [];
    return `${lost.replaceAll(",", "")} of ${all.replaceAll(",", "")}`;
  }

  test.each([
    ["-n 20M"],
    ["-n 20M -P 4"],
    ["-k 100"],
    ["-n 20M -l 1000"],
    ["-n 20M -w 100K"],
    ["-n 20M -Z"],
    ["-n 20M -M 1000 -N -S 16"],
    ["-n 20M -b 2G"],
  ])("what it sends: %s", async (args) => {
    const { report, line } = await measured(...args.split(" "));
    const { sum_sent: sent, sum_received: received, streams } = report.end;
    expect(received.bytes).toBe(bytesIn(line, "received"));
    expect(received.bytes).toBeGreaterThan(0);
    expect(received.bytes).toBeLessThanOrEqual(sent.bytes);
    const each = streams.map(({ receiver }) => receiver.bytes);
    expect(each.reduce((sum, bytes) => sum + bytes)).toBe(received.bytes);
  });

  test.each([
    ["-n 20M"],
    ["-n 20M -P 4"],
    ["-n 20M -Z"],
    ["-n 20M -C reno"],
    ["-n 4M -w 100K"],
    ["-n 2M -M 1000 -S 16"],
    ["-n 4M -l 1000"],
    ["-n 4M -b 400M --fq-rate 1G"],
  ])("what it receives: %s", async (args) => {
    const { report, line } = await measured("-R", ...args.split(" "));
    const { sum_sent: sent, sum_received: received } = report.end;
    expect(sent.bytes).toBe(bytesIn(line, "sent"));
    expect(received.bytes).toBeGreaterThanOrEqual(2 * MiB);
    expect(received.bytes).toBeLessThanOrEqual(sent.bytes);
  });

  test.each([
    ["-b 400M -n 10M"],
    ["-b 400M -n 10M -P 3 -l 1400"],
    ["-b 400M -n 10M -l 8K --udp-counters-64bit"],
    ["-b 0 -n 50M -w 100K -S 16"],
  ])("datagrams that it sends: %s", async (args) => {
    const { report, line } = await measured("-u", ...args.split(" "));
    const { sum_sent: sent, sum_received: received } = report.end;
    expect(received.bytes).toBe(bytesIn(line, "received"));
    expect(`${received.lost_packets} of ${received.packets}`).toBe(lossIn(line));
    const size = sent.bytes / (sent.packets ?? 0);
    const arrived = (received.packets ?? 0) - (received.lost_packets ?? 0);
    expect(received.bytes).toBe(arrived * size);
    expect(received.packets).toBeLessThanOrEqual(sent.packets ?? 0);
  });

  test.each([
    ["-b 400M -n 10M"],
    ["-b 400M -n 10M -P 3 -l 1400"],
    ["-b 100M/4 -n 2M -l 8K --udp-counters-64bit"],
    ["-b 0 -t 1"],
  ])("datagrams that it receives: %s", async (args) => {
    const { report, line } = await measured("-u", "-R", ...args.split(" "));
    const { sum_sent: sent, sum_received: received } = report.end;
    expect(sent.bytes).toBe(bytesIn(line, "sent"));
    expect(received.bytes).toBeGreaterThan(0);
    expect(received.bytes).toBeLessThanOrEqual(sent.bytes);
    expect(received.packets).toBeLessThanOrEqual(sent.packets ?? 0);
  });

  test("datagrams without what is omitted", async () => {
    const args = ["-t", "1", "-O", "3", "-b", "8M", "-l", "1000", "--bidir"];
    const { report, line } = await measured("-u", ...args);
    const { sum_received: received, sum_received_bidir_reverse: back } = report.end;
    expect(received.bytes).toBe(bytesIn(line, "received"));
    // A second has 1000 of them.
    for (const one of [received, back]) expect(one?.packets).toBeLessThan(3000);
    expect(lossIn(line)).toMatch(/^\d+ of (\d{1,3}|[12]\d\d\d)$/);
  });

  test("both at once", async () => {
    const { report, line } = await measured("--bidir", "-n", "20M", "-P", "2");
    const { end } = report;
    expect(end.streams.length).toBe(4);
    expect(end.sum_received.bytes).toBe(bytesIn(line, "received"));
    expect(end.sum_sent_bidir_reverse?.bytes).toBe(bytesIn(line, "sent"));
    expect(end.sum_received_bidir_reverse?.bytes).toBeLessThanOrEqual(bytesIn(line, "sent"));
  });

  test("without what is omitted", async () => {
    const { report, line } = await measured("-t", "1", "-O", "3", "-b", "80M");
    const { sum_received: received } = report.end;
    const all = report.intervals.reduce((sum, { sum: { bytes } }) => sum + bytes, 0);
    expect(received.bytes).toBe(bytesIn(line, "received"));
    expect(received.bytes).toBeLessThan(0.8 * all);
    expect(received.seconds).toBeLessThan(3);
  });

  test("and shows what the server says", async () => {
    const { report, line } = await measured("-n", "1M", "--get-server-output");
    expect(report.server_output_text).toBe(`${line}\n`);
    expect(line).toMatch(
      /^zc: tested with tcp:127.0.0.1:\d+ for .* s: received [\d,]+ bytes, .*B\/s$/,
    );
  });

  test("twenty times, and nothing is left behind", async () => {
    await measured("-n", "1M", "--bidir", "-P", "2");
    const before = await leftBy(server, sockets);
    for (let round = 0; round < 20; round++) await measured("-n", "256K", "--bidir", "-P", "2");
    const after = await leftBy(server, sockets);
    expect(after.descriptors).toBe(before.descriptors);
    // The runtime may start some of its own meanwhile, but not one a test.
    expect(after.threads).toBeLessThan(before.threads + 10);
  });
});

/** What it has, once it is down to so many sockets. */
async function leftBy(server: Running, sockets: number) {
  while (socketsOf(server) > sockets) await Bun.sleep(5);
  const count = (what: string) => readdirSync(`/proc/${server.child.pid}/${what}`).length;
  return { descriptors: count("fd"), threads: count("task") };
}

/** Of the network: it has others for itself. */
function socketsOf({ child: { pid } }: Running): number {
  const links = readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`));
  const ours = new Set(links);
  return ["tcp", "tcp6", "udp", "udp6"]
    .flatMap(inodesOf)
    .filter((inode) => ours.has(`socket:[${inode}]`)).length;
}

/** Of each socket of a protocol: proc(5), /proc/net. */
function inodesOf(protocol: string): string[] {
  const lines = readFileSync(`/proc/net/${protocol}`, "utf8").trimEnd().split("\n");
  return lines.slice(1).map((line) => line.trim().split(/\s+/)[9] ?? "");
}

function processorsOf({ child: { pid } }: Running): string | undefined {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return /^Cpus_allowed_list:\s+(\S+)/m.exec(status)?.[1];
}

/** Empty where it has gone. */
function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

describe.skipIf(isAbsent("iperf3"))("iperf3", () => {
  /** A server, and a test that goes on until somebody ends it. */
  async function endless(...args: readonly string[]) {
    const server = await startServer();
    const client = await startEndless(server.address, ...args);
    return { server, client };
  }

  test("is told that the server is busy", async () => {
    const { server, client } = await endless();
    const { report } = await iperf3(server.address, "-n", "1M");
    expect(report.error).toMatch(/the server is busy running a test/);
    client.child.kill("SIGINT");
    await client.result;
    await stop(server);
  });

  test.each([
    ["interrupted", "SIGINT", /\[PEER_RESET\] test with \S+: it was stopped\n/],
    ["killed", "SIGKILL", /\[PEER_RESET\] test with \S+: it closed the control connection\n/],
  ] as const)("can be %s, whoever sends", async (_, signal, reason) => {
    for (const args of [[], ["-R", "-P", "2"], ["--bidir"]]) {
      const { server, client } = await endless(...args);
      client.child.kill(signal);
      await client.result;
      await server.note(reason);
      expect((await iperf3(server.address, "-n", "1M")).report.error).toBeUndefined();
      await stop(server);
    }
  });

  test("is told when the server is stopped", async () => {
    for (const args of [[], ["-R"]]) {
      const { server, client } = await endless(...args);
      await stop(server);
      const { stderr } = await client.result;
      expect(stderr).toMatch(/the server has terminated/);
    }
  });

  test("is refused what cannot be, and the person here is told", async () => {
    const server = await startServer();
    const { report } = await iperf3(server.address, "-n", "1M", "-A", "0,1000");
    expect(report.error).toMatch(/unable to set CPU affinity/);
    await server.note(/\[UNSUPPORTED\] test with tcp:\S+: bind to processor 1000: EINVAL/);
    await stop(server);
  });

  test("chooses the server's processor, for the time of the test", async () => {
    const { server, client } = await endless("-A", "0,1");
    expect(processorsOf(server)).toBe("1");
    client.child.kill("SIGINT");
    await client.result;
    await server.note(/it was stopped/);
    expect(processorsOf(server)).not.toBe("1");
    await stop(server);
  });

  test("gets its bytes by the mode that the server was told, or by sendfile", async () => {
    const server = await startServer("--mode", "msg-zerocopy");
    for (const [args, mode] of [
      [["-R"], /we send by msg-zerocopy, over 1 stream\n/],
      [["-R", "-Z", "-P", "2"], /we send by sendfile, over 2 streams\n/],
      [["--bidir"], /both send, we by msg-zerocopy/],
    ] as const) {
      const { code, report } = await iperf3(server.address, "-n", "10M", ...args);
      expect({ code, error: report.error }).toEqual({ code: 0 });
      await server.note(mode);
    }
    await stop(server);
  });
});

test.each([
  [["--mode=copy", ":0"], /--mode: it is for --iperf3/],
  [[], /ADDR is missing/],
  [["--iperf3", "unix:/tmp/x"], /iperf3 has TCP/],
  [["--iperf3", "udp::0"], /datagrams make no connection/],
])("usage: %j", async (args, reason) => {
  const { code, stderr } = await zc(["bench", "serve", ...args]);
  expect(code).toBe(2);
  expect(stderr).toMatch(reason);
});
