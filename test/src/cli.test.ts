/** The command line: what it prints where, and its exit codes. */
import { expect, test } from "vitest";
import manifest from "../../package.json";
import { doctorSchema } from "../../src/doctor/finding.schema.ts";
import { transferSchema } from "../../src/transfer/summary.schema.ts";
import { listening, start, startZc, zc } from "../support/zc.ts";

test.each(["--version", "-V"])("%s", async (option) => {
  expect((await zc([option])).stdout.toString()).toBe(`zc ${manifest.version}\n`);
});

test("a subcommand's subcommands are named in its help, and have their own", async () => {
  const help = await zc(["bench", "--help"]);
  expect(help.stdout.toString()).toMatch(/\n +zc bench compare …: two results/);
  const nested = await zc(["bench", "compare", "--help"]);
  expect(nested.stdout.toString()).toMatch(/usage: zc bench compare BEFORE AFTER/);
  expect((await zc(["bench", "compare", "one"])).stderr).toMatch(
    /zc bench compare: AFTER is missing/,
  );
});

test.each([[[]], [["--help"]], [["send", "--help"]], [["recv", "-h"]]])(
  "help: %j",
  async (args) => {
    const { code, stdout, stderr } = await zc(args);
    expect(code).toBe(0);
    expect(stdout.toString()).toMatch(/zc send|--mode/);
    expect(stderr).toBe("");
  },
);

test.each([
  [["frobnicate"], /no such subcommand; there are send, recv/],
  [["send"], /ADDR is missing/],
  [["send", ":1", "a", "b"], /one argument too many/],
  [["send", "nonsense"], /nonsense/],
  [["send", ":1", "--frobnicate"], /Unknown option/],
  [["send", ":1", "--chunk"], /value is missing/],
  [["send", ":1", "--chunk", "12Q"], /--chunk/],
  [["send", ":1", "--chunk", "2G"], /--chunk: 2G is not within 4K and 1G/],
  [["send", ":1", "--chunk", "4K", "--chunk", "8K"], /more than once/],
  [["send", ":1", "--mode", "teleport"], /none of auto, copy, sendfile, splice, msg-zerocopy/],
  [["recv", ":1", "--mode", "sendfile"], /none of auto, copy, splice/],
  [["send", ":1", "--timeout", "5"], /--timeout/],
  [["send", ":1", "--rate", "0"], /--rate: it cannot be 0/],
  [["send", ":1", "--timeout", "0"], /--timeout: it cannot be 0/],
  [["send", ":1", "--listen", "--connect"], /--listen and --connect/],
  [["recv", ":1", "--sparse"], /--sparse: it needs a FILE/],
  [["recv", ":1", "--expect", "md5:00"], /--expect|xxh3/],
  [["recv", ":1", "--if", "lo", "--rxq", "0"], /--if and --rxq: they are for --mode zcrx/],
  [["recv", ":1", "--mode", "zcrx", "--if", "lo"], /one needs the other/],
  [["recv", ":1", "--mode", "zcrx", "--if", "no/where", "--rxq", "0"], /"no\/where"; there are lo/],
  [
    ["recv", ":1", "--mode", "zcrx", "--if", "lo", "--rxq", "1"],
    /no receive queue 1; 0 is the only/,
  ],
  [["schema", "nothing"], /none of send, recv, relay, bench/],
])("usage: %j is exit 2, in one line", async (args, expected) => {
  const { code, stdout, stderr } = await zc(args);
  expect(code).toBe(2);
  expect(stdout.length).toBe(0);
  expect(stderr).toMatch(/^zc: \[USAGE\] .*\n$/);
  expect(stderr).toMatch(expected);
});

test.each([
  [[":0"], /^zc: warning: 127\.0\.0\.1 is reached over loopback alone, .*; zc recv '\*:0'\nzc: l/],
  [["*:0"], /^zc: listening/],
])("recv --if %j warns where nothing can come by a card", async (args, notes) => {
  const queue = ["--mode", "zcrx", "--if", "lo", "--rxq", "0"];
  const receiver = await listening(["recv", ...args, ...queue, "/dev/null"]);
  expect(receiver.notes()).toMatch(notes);
  receiver.child.kill("SIGTERM");
  expect((await receiver.result).code).toBe(143);
});

test("a stack trace only with ZC_DEBUG", async () => {
  const args = ["send", "unix:/nowhere", "/dev/null"];
  expect((await zc(args)).stderr).not.toMatch(/\n {4}at /);
  expect((await zc(args, { env: { ZC_DEBUG: "1" } })).stderr).toMatch(/\n {4}at /);
});

test("--json: the summary fits its schema; on stdout, or on stderr where that carries data", async () => {
  const receiver = await listening(["recv", ":0", "--json"]);
  const sent = await zc([
    "send",
    receiver.address,
    "/dev/zero",
    "--bytes",
    "10",
    "--json",
    "--checksum",
  ]);
  const received = await receiver.result;
  expect(transferSchema.parse(lastLine(sent.stdout.toString()))).toMatchObject({ bytes: 10 });
  expect(received.stdout.length).toBe(10);
  expect(transferSchema.parse(lastLine(received.stderr))).toMatchObject({ bytes: 10 });
});

test("--json: an error has its name, and the exit code stays", async () => {
  const { code, stdout, stderr } = await zc(["send", "unix:/nowhere", "/dev/null", "--json"]);
  expect(code).toBe(1);
  expect(transferSchema.parse(lastLine(stdout.toString()))).toMatchObject({
    error: { code: "CONNECT", errnoName: "ENOENT" },
  });
  expect(stderr).toMatch(/^zc: \[CONNECT\]/);
});

test("zc doctor --json fits its schema", async () => {
  const { code, stdout } = await zc(["doctor", "--json"]);
  expect(code).toBe(0);
  const { findings } = doctorSchema.parse(JSON.parse(stdout.toString()));
  expect(findings.find(({ feature }) => feature === "sendfile tcp")).toMatchObject({
    verdict: "works",
  });
  expect(findings.find(({ feature }) => feature === "msg-zerocopy tcp")).toMatchObject({
    verdict: "copies",
  });
});

test.each(["send", "recv", "relay", "bench", "bench-compare", "doctor"])(
  "zc schema %s is JSON Schema",
  async (name) => {
    const { stdout } = await zc(["schema", name]);
    expect(JSON.parse(stdout.toString()).$schema).toMatch(/json-schema/);
  },
);

test("-q says nothing", async () => {
  const receiver = await listening(["recv", ":0", "/dev/null"]);
  const sent = await zc(["send", receiver.address, "/dev/zero", "--bytes", "1M", "-q"]);
  expect(sent).toMatchObject({ code: 0, stderr: "" });
  await receiver.result;
});

test("--progress plain writes lines", async () => {
  const receiver = await listening(["recv", ":0", "/dev/null"]);
  const sender = startZc([
    "send",
    receiver.address,
    "/dev/zero",
    "--rate",
    "10M",
    "--progress",
    "plain",
  ]);
  await sender.note(/MiB, .*MiB\/s, average .*MiB\/s\n/);
  sender.child.kill("SIGINT");
  await Promise.all([sender.result, receiver.result]);
});

test("on a terminal: a bar, and colours unless they are refused", async () => {
  const receiver = await listening(["recv", ":0", "/dev/null"]);
  const command = `src/zc send ${receiver.address} /dev/zero --rate 20M --bytes 60M`;
  const { stdout } = await start("script", ["-qec", command, "/dev/null"]).result;
  expect(stdout.toString()).toMatch(/\[=+ *\] \d.*MiB \/ 60\.0 MiB/);
  await receiver.result;
});

test("a reader that goes away ends it quietly, as SIGPIPE would", async () => {
  const receiver = await listening(["recv", ":0"]);
  receiver.child.stdout?.destroy();
  const sent = await zc(["send", receiver.address, "/dev/zero"]);
  const { code, stderr } = await receiver.result;
  expect(code).toBe(141);
  expect(stderr).toMatch(/^zc: listening on .*\n$/);
  expect(sent.code).toBe(1);
});

test("a result that nobody can take is an error", async () => {
  const { stderr } = await start("sh", ["-c", "src/zc doctor > /dev/full; echo $? >&2"]).result;
  expect(stderr).toBe("zc: [WRITE_SINK] write the result: ENOSPC (no space left on device)\n1\n");
});

function lastLine(text: string): unknown {
  return JSON.parse(text.trimEnd().split("\n").at(-1) ?? "");
}
