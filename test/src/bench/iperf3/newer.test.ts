/** iperf3's protocol, with the newest iperf3 that Debian has: at least 3.18. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWithNewer } from "../../../peers/newer.ts";
import { listening, type Running, start, zc } from "../../../support/zc.ts";
import { parse } from "./ours.ts";
import { startIperf3Server, testWith } from "./real.ts";

describeWithNewer("sid", ["iperf3"], "iperf3", ({ command }) => {
  const iperf3 = command("iperf3");
  let server: Running & { address: string };

  beforeAll(async () => {
    server = await listening(["bench", "serve", "--iperf3", "127.0.0.1:0"]);
  });
  afterAll(() => void server.child.kill("SIGTERM"));

  test("is new enough to tell more than Debian's stable one", async () => {
    const [program, ...before] = iperf3;
    const { stdout } = await start(program, [...before, "--version"]).result;
    expect(Number(/^iperf 3\.(\d+)/.exec(stdout.toString())?.[1])).toBeGreaterThanOrEqual(18);
  });

  test.each([
    "-n 20M",
    "-n 20M -P 4",
    "-n 20M -R",
    "-n 20M -R -P 3",
    "-n 20M --bidir",
    "-u -b 100M -n 5M",
    "-u -b 100M -n 5M -R",
  ])("measures with our server: %s", async (args) => {
    const { code, report } = await testWith(iperf3, server.address, ...args.split(" "));
    expect({ code, error: report.error }).toEqual({ code: 0 });
    const { sum_sent: sent, sum_received: received } = report.end;
    expect(received.bytes).toBeGreaterThan(0);
    expect(received.bytes).toBeLessThanOrEqual(sent.bytes);
  });

  test.each([
    ["tcp", []],
    ["tcp", ["--streams=3"]],
    ["tcp", ["--reverse"]],
    ["udp", []],
    ["udp", ["--reverse"]],
  ] as const)("is measured with by our client: %s %j", async (transport, args) => {
    const other = await startIperf3Server(iperf3);
    const at = `${transport}:127.0.0.1:${other.port}`;
    const size = transport === "udp" ? "65507" : "1M";
    const cell = ["--modes=copy", `--sizes=${size}`, "--repeat=1", "--bytes=20M", "--source=4M"];
    const isReverse = args.some((arg) => arg === "--reverse");
    const options = isReverse ? cell.filter((option) => option !== "--source=4M") : cell;
    const { code, stdout, stderr } = await zc([
      "bench",
      "--iperf3",
      at,
      "--json",
      ...options,
      ...args,
    ]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [, report] = await other.reports(2);
    const run = parse(stdout).cells.find(({ runs }) => runs.length > 0)?.runs[0];
    const side = isReverse ? report?.end.sum_sent : report?.end.sum_received;
    if (isReverse) expect(run?.bytes).toBeLessThanOrEqual(side?.bytes ?? 0);
    else expect(run?.bytes).toBe(side?.bytes);
    expect(run?.bytes).toBeGreaterThan(0);
  });
});
