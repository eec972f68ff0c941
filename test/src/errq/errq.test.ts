/** zc errq: our own sends, and another process's socket. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { parseAddress } from "../../../src/address/index.ts";
import { errqSchema } from "../../../src/errq/notice.schema.ts";
import { sendWatched } from "../../../src/errq/send.ts";
import { openDescriptors } from "../../support/descriptors.ts";
import { fullPipe } from "../../support/full-pipe.ts";
import { scratch } from "../../support/scratch.ts";
import { listening, type Running, root, start, startZc, zc } from "../../support/zc.ts";

/** The NDJSON that it printed, each line checked. */
function linesOf({ stdout }: { stdout: Buffer }) {
  const lines = stdout.toString().trimEnd().split("\n");
  return lines.map((line) => errqSchema.parse(JSON.parse(line)) as Record<string, unknown>);
}

describe("sends", () => {
  test("over TCP: every send is told of, and the summary comes last", async () => {
    using folder = scratch();
    const receiver = await listening(["recv", ":0", folder.file("out")]);
    const file = folder.random("in", 5_000_001);
    const result = await zc(["errq", receiver.address, file, "--chunk", "64K"]);
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: "" });
    const lines = linesOf(result);
    const summary = lines.pop();
    const counts = lines.map(({ origin, count }) => (origin === "zerocopy" ? Number(count) : 0));
    const sum = counts.reduce((total, count) => total + count, 0);
    expect(summary).toMatchObject({ bytes: 5_000_001, sends: sum, completions: sum });
    expect(summary?.["notifications"]).toBe(lines.length);
    expect(lines[0]).toMatchObject({ lo: 0, copied: true, latencyNs: expect.any(Number) });
    expect((await receiver.result).code).toBe(0);
  });

  test("--timestamps: each send is scheduled, sent and acknowledged, in this order", async () => {
    using folder = scratch();
    const receiver = await listening(["recv", ":0", folder.file("out")]);
    const file = folder.random("in", 1_000_000);
    const result = await zc(["errq", receiver.address, file, "--chunk", "256K", "--timestamps"]);
    const stamps = linesOf(result).filter(({ origin }) => origin === "timestamping");
    const ids = [...new Set(stamps.map(({ id }) => id))];
    expect(ids.at(-1)).toBe(999_999);
    for (const wanted of ids) {
      const own = stamps.filter(({ id }) => id === wanted);
      const byTime = own.toSorted((one, other) => Number(one["ns"]) - Number(other["ns"]));
      expect(byTime.map(({ stage }) => stage)).toEqual(["sched", "sent", "acked"]);
    }
    await receiver.result;
  });

  test.each([
    ["udp:127.0.0.1:9", { origin: "icmp", type: 3, code: 3, offender: "127.0.0.1" }],
    ["udp:[::1]:9", { origin: "icmp6", type: 1, code: 4, offender: "::1" }],
  ])(
    "to nobody at %s: an ICMP error for what was sent, and it goes on",
    async (address, refused) => {
      const result = await zc(["errq", address, "/dev/zero", "--bytes", "4200"]);
      const lines = linesOf(result);
      expect(lines).toContainEqual({ ...refused, errno: "ECONNREFUSED" });
      expect(lines.at(-1)).toMatchObject({ bytes: 4200, sends: 3 });
      expect(result.code).toBe(0);
    },
  );

  test("over UDP, --timestamps tell of each datagram, between the other messages", async () => {
    const args = ["errq", "udp:127.0.0.1:9", "/dev/zero", "--bytes", "4200", "--timestamps"];
    const lines = linesOf(await zc(args));
    const stages = lines.flatMap(({ origin, id, stage }) =>
      origin === "timestamping" ? [`${id} ${stage}`] : [],
    );
    expect(stages).toEqual(["0 sched", "0 sent", "1 sched", "1 sent", "2 sched", "2 sent"]);
    expect(new Set(lines.map(({ origin }) => origin)).size).toBe(4); // with the summary's none
  });

  test("as a library: who looks no further stops it", async () => {
    const receiver = await listening(["recv", ":0", "/dev/null"]);
    const notices = sendWatched({ address: parseAddress(receiver.address), file: "/dev/zero" });
    for await (const notice of notices) {
      expect(notice.origin).toBe("zerocopy");
      break;
    }
    expect((await receiver.result).stderr).toMatch(/ECONNRESET/);
    expect([...openDescriptors()].join()).not.toContain(" /dev/zero");
  });

  test.each([
    [["unix:/nowhere", "/dev/null"], 1],
    [[":1", "/dev/null"], 1],
    [[], 2],
    [["--pid", "1"], 2],
    [[":1", "--follow"], 2],
    [[":1", "--pid", "1", "--fd", "1"], 2],
    [["--pid", "1", "--fd", "1", "--timestamps"], 2],
  ])("errq %j: one line, exit %i", async (args, expected) => {
    const { code, stderr } = await zc(["errq", ...args]);
    expect(stderr).toMatch(/^zc: \[[A-Z_]+\] .*\n$/);
    expect(code).toBe(expected);
  });

  test("a reader that reads nothing holds up no signal", async () => {
    const stdout = await fullPipe();
    const arrived = Promise.withResolvers<void>();
    const server = createServer((socket) => {
      let left = 8 << 20; // by then there was more to print than one line
      socket.on("data", ({ length }) => {
        left -= length;
        if (left <= 0) arrived.resolve();
      });
      socket.on("error", () => {}); // its sender is ended
    }).listen(0, "127.0.0.1");
    onTestFinished(() => void server.close());
    await once(server, "listening");
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const sender = startZc(["errq", address, "/dev/zero", "--chunk", "4K"], { stdout });
    await arrived.promise;
    sender.child.kill("SIGTERM");
    expect((await sender.result).code).toBe(143);
  });

  test("a socket without MSG_ZEROCOPY: UNSUPPORTED", async () => {
    using folder = scratch();
    const receiver = await listening(["recv", `unix:${folder.file("socket")}`]);
    const result = await zc(["errq", receiver.address, "/dev/null"]);
    expect(linesOf(result).at(-1)).toMatchObject({ error: { code: "UNSUPPORTED" } });
    expect(result.code).toBe(3);
    await receiver.result;
  });
});

describe("another process's socket", () => {
  let server: Server;
  let owner: Running;
  let place: string[];
  let noSocket: string;
  let peer: Socket;

  beforeEach(async () => {
    server = createServer((socket) => void socket.resume()).listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
    const program = join(root, "test", "support", "zerocopy-owner.py");
    owner = start("python3", [program, `${port}`], { stdin: "pipe" });
    const [, fd = "", other = ""] = await owner.note(/ready (\d+) (\d+)/);
    noSocket = other;
    peer = await accepted;
    place = ["--pid", `${owner.child.pid}`, "--fd", fd];
  });

  afterEach(async () => {
    owner.child.kill("SIGKILL");
    await owner.result;
    peer.destroy();
    server.close();
  });

  async function tell(command: string, answer: RegExp): Promise<string | undefined> {
    owner.child.stdin?.write(`${command}\n`);
    return (await owner.note(answer))[1];
  }

  test("its state: zero-copy, and what waits unread in option memory", async () => {
    const [state] = linesOf(await zc(["errq", ...place]));
    expect(state).toMatchObject({ zerocopy: true, pid: owner.child.pid });
    expect(Number(state?.["optionMemory"])).toBeGreaterThan(500);
    expect(await tell("count", /read (\d+)/)).not.toBe("0");
    const [after] = linesOf(await zc(["errq", ...place]));
    expect(after).toMatchObject({ optionMemory: 0 });
  });

  test("--drain takes the notifications from it, and says so", async () => {
    const result = await zc(["errq", ...place, "--drain"]);
    expect(result.stderr).toMatch(
      /^zc: taking its notifications: process \d+ will not see them\n$/,
    );
    const [, ...notices] = linesOf(result);
    const sends = notices.reduce((total, { count }) => total + Number(count), 0);
    expect(sends).toBe(10);
    expect(notices[0]).not.toHaveProperty("latencyNs");
    expect(await tell("count", /read (\d+)/)).toBe("0");
  });

  test("--follow alone tells of each change, and takes nothing", async () => {
    const following = startZc(["errq", ...place, "--follow"]);
    const { stdout } = following.child;
    await new Promise((resolve) => stdout?.once("data", resolve));
    const second = new Promise((resolve) => stdout?.once("data", resolve));
    expect(await tell("count", /read (\d+)/)).not.toBe("0");
    await second;
    await tell("close", /closed/);
    const result = await following.result;
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code: 0, stderr: "" });
    const memory = linesOf(result).map(({ optionMemory }) => optionMemory);
    expect(memory[0]).toBeGreaterThan(500);
    expect(memory.at(-1)).toBe(0);
  });

  test("--drain --follow goes on, holds up no close, and ends when the socket is gone", async () => {
    const following = startZc(["errq", ...place, "--drain", "--follow"]);
    await new Promise<void>((resolve) =>
      following.child.stdout?.on("data", (data) => `${data}`.includes("origin") && resolve()),
    );
    await tell("send", /sent/);
    const ended = new Promise((resolve) => peer.once("end", resolve));
    await tell("close", /closed/);
    await ended; // the owner still runs: only its close can have been the end
    const result = await following.result;
    expect({ code: result.code, stderr: result.stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(/^zc: taking its notifications.*\n$/),
    });
    expect(linesOf(result).length).toBeGreaterThan(1);
  });

  test("a descriptor that is none, and one that is no socket", async () => {
    const [, pid = ""] = place;
    const none = await zc(["errq", "--pid", pid, "--fd", "77"]);
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(/EBADF/);
    const other = await zc(["errq", "--pid", pid, "--fd", noSocket]);
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/is no socket/);
  });
});
