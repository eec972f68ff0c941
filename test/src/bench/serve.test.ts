/** zc bench between two machines: `serve`, who measures against it, and who only disturbs it. */
import { connect, type Socket } from "node:net";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { requestSchema } from "../../../src/bench/messages.ts";
import { benchResultSchema } from "../../../src/bench/result.schema.ts";
import { scratch } from "../../support/scratch.ts";
import { listening, type Running, startZc, zc } from "../../support/zc.ts";

const quick = ["--modes=copy", "--sizes=1000", "--time=20ms", "--source=4M"];
const twice = [...quick, "--repeat=2"];
const endless = [...quick, "--repeat=50", "--progress=plain"];
const control = `zc-bench-1 ${"0".repeat(32)}\n`;

let server: Running & { address: string };

beforeEach(async () => {
  server = await listening(["bench", "serve", "127.0.0.1:0"]);
});

afterEach(async () => {
  server.child.kill("SIGTERM");
  expect((await server.result).code).toBe(143);
});

async function measured(...args: readonly string[]) {
  const { code, stdout, stderr } = await zc(["bench", ...args, ...twice, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return benchResultSchema.parse(JSON.parse(stdout.toString()));
}

function clientAt(address: string): Socket {
  const port = Number(address.split(":").at(-1));
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  return socket;
}

/** What it says until it closes. */
function all(socket: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  socket.on("data", (data: Buffer) => {
    text += data.toString();
  });
  socket.on("close", () => resolve(text));
  return promise;
}

describe("serves", () => {
  test("over TCP, one after another, and says whom", async () => {
    for (let round = 0; round < 2; round++) {
      const { cells, peer, isComplete } = await measured(server.address, "--streams=2");
      expect(isComplete).toBe(true);
      expect(peer?.kernel).toBeTruthy();
      expect(cells.map(({ transport, runs }) => [transport, runs.length])).toEqual([
        ["tcp", 2],
        ["tcp", 2],
      ]);
    }
    expect(server.notes().match(/measuring with tcp:127.0.0.1:\d+\n/g)?.length).toBe(2);
  });

  test("datagrams, asked for over TCP", async () => {
    const { cells } = await measured(server.address.replace("tcp:", "udp:"));
    expect(cells.find(({ size }) => size === 1000)).toMatchObject({ transport: "udp" });
    expect(cells.find(({ size }) => size === 1000)?.runs.length).toBe(2);
  });

  test("over a unix socket", async () => {
    using folder = scratch();
    const other = await listening(["bench", "serve", `unix:${folder.file("socket")}`]);
    const { cells } = await measured(other.address);
    expect(cells.every(({ transport, runs }) => transport === "unix" && runs.length === 2)).toBe(
      true,
    );
    other.child.kill("SIGTERM");
    await other.result;
  });
});

describe("withstands", () => {
  test("somebody else, who is told that it is busy", async () => {
    const slow = startZc(["bench", server.address, ...endless]);
    await slow.note(/2\/\d+ tcp/);
    const { code, stderr } = await zc(["bench", server.address, ...twice]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^zc: \[CONNECT\] it serves somebody else already\n$/);
    slow.child.kill("SIGINT");
    expect((await slow.result).code).toBe(130);
    await measured(server.address);
  });

  test("a client that is killed in the middle", async () => {
    const killed = startZc(["bench", server.address, ...endless]);
    await killed.note(/4\/\d+ tcp/);
    killed.child.kill("SIGKILL");
    await killed.result;
    await measured(server.address);
  });

  test.each([
    ["what is no opening", "GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"],
    ["a token that nobody waits for", `zc-bench-1 ${"a".repeat(32)}\n`],
    ["half an opening", "zc-bench-1 "],
  ])("%s", async (_, text) => {
    const socket = clientAt(server.address);
    socket.end(text);
    expect(await all(socket)).toBe("");
    await measured(server.address);
  });

  test.each([
    ["no JSON", "hello\n"],
    ["a wish that is none", '{"do":"format"}\n'],
    ["too much", `${JSON.stringify(receiveRequest({ streams: 1e6 }))}\n`],
  ])("a link that says %s: it is closed, and the error noted", async (_, text) => {
    const socket = clientAt(server.address);
    socket.write(control + text);
    expect(await all(socket)).toBe("");
    await server.note(/\[PROTOCOL\] talk to tcp:.*: it sent a message that it should not/);
    await measured(server.address);
  });

  test("a line without an end", async () => {
    const socket = clientAt(server.address);
    socket.write(control);
    socket.write("x".repeat(2 << 20));
    await all(socket);
    await server.note(/\[PROTOCOL\] talk to tcp:.*: it sent a line without an end/);
  });

  test("a wish to send: nobody makes it attack others", async () => {
    const socket = clientAt(server.address);
    const prepare = { do: "prepare", misalign: 0, touch: false, hugePages: false };
    const send = { do: "send", token: "a".repeat(32), to: ["tcp:127.0.0.1:9"], mode: "copy" };
    const rest = { size: 4096, streams: 1, durationMs: 10 };
    socket.write(`${control}${JSON.stringify(prepare)}\n${JSON.stringify({ ...send, ...rest })}\n`);
    socket.end();
    expect(await all(socket)).toMatch(/"did":"fail","error":\{"code":"AUTH"/);
  });
});

function receiveRequest(changes: object) {
  const token = "a".repeat(32);
  return { do: "receive", token, transport: "tcp", mode: "copy", streams: 1, ...changes };
}

test("it does not listen for datagrams", async () => {
  const { code, stderr } = await zc(["bench", "serve", "udp::0"]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/its clients can ask for datagrams/);
});

test("no message is believed: whatever it is, it is of the schema, or refused", () => {
  const numbers = fc.oneof(fc.integer(), fc.double(), fc.constantFrom(0, -1, 2 ** 53, 1e300));
  const request = fc.record({
    do: fc.constantFrom("prepare", "receive", "send", "stop", "else"),
    token: fc.oneof(fc.string(), fc.constant("a".repeat(32))),
    streams: numbers,
    size: numbers,
    bytes: numbers,
    mode: fc.constantFrom("copy", "splice", "zap"),
    to: fc.array(fc.string()),
    transport: fc.string(),
  });
  fc.assert(
    fc.property(fc.oneof(request, fc.anything()), (message) => {
      const { success, data } = requestSchema.safeParse(message);
      if (!success || data.do !== "send") return;
      expect(data.streams).toBeLessThanOrEqual(128);
      expect(data.size).toBeLessThanOrEqual(2 ** 30);
    }),
  );
});
