/** zc bench between two machines: `serve`, who measures against it, and who only disturbs it. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { requestSchema } from "../../../src/bench/messages.ts";
import { benchResultSchema } from "../../../src/bench/result.schema.ts";
import { scratch } from "../../support/scratch.ts";
import { listening, type Running, startZc, zc } from "../../support/zc.ts";

const small = ["--modes=copy", "--sizes=1000", "--source=4M"];
const quick = [...small, "--bytes=1M"];
const twice = [...quick, "--repeat=2"];
const endless = [...small, "--time=200ms", "--repeat=50", "--progress=plain"];
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
  // It may not have noticed yet that the one before has gone.
  const { code, stdout, stderr } = await zc(["bench", ...args, ...twice, "--json", "--retry=20s"]);
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
    await server.note(/\[PROTOCOL\] talk to tcp:.*: it sent what is no message of a benchmark/);
    await measured(server.address);
  });

  test("what it shows has no control characters, nor lines, of the peer's", async () => {
    const socket = clientAt(server.address);
    socket.write(`${control}{"do":"prepare","\\u001b[31mRED\\nzc: forged line":1}\n`);
    await all(socket);
    await server.note(/\[PROTOCOL\]/);
    expect(server.notes()).not.toContain("\u001b");
    expect(server.notes()).not.toMatch(/^zc: forged/m);
  });

  test("a data connection that breaks in its opening: the run goes on", async () => {
    const running = startZc(["bench", server.address, ...endless]);
    for (let round = 0; round < 100; round++) {
      const socket = clientAt(server.address);
      socket.on("connect", () => socket.resetAndDestroy());
      await running.note(new RegExp(`${Math.floor(round / 10) + 1}/\\d+ tcp`));
    }
    running.child.kill("SIGINT");
    expect((await running.result).code).toBe(130);
    expect(server.notes()).not.toMatch(/at .*\.ts/);
  });

  test("wishes that come before the last one was answered", async () => {
    const socket = clientAt(server.address);
    const wish = JSON.stringify(receiveRequest({}));
    socket.write(`${control}${wish}\n${wish}\n`);
    await all(socket);
    await server.note(/\[PROTOCOL\] .*asked for something while something else ran/);
    await measured(server.address);
  });

  test("more connections than a run has: they are reset", async () => {
    const socket = clientAt(server.address);
    socket.write(`${control}${JSON.stringify(receiveRequest({}))}\n`);
    await once(socket, "data"); // it listens
    const data = Array.from({ length: 3 }, () => {
      const connection = clientAt(server.address);
      connection.write(`zc-bench-1 ${token}\n`);
      return connection;
    });
    await Promise.any(data.map(all));
    expect(data.filter(({ closed }) => !closed).length).toBeGreaterThanOrEqual(1);
    for (const connection of [...data, socket]) connection.destroy();
    await measured(server.address);
  });

  test("a client that bound it to a processor, once that has gone", async () => {
    await measured(server.address, "--cpu=0,1");
    const listOf = (process: number | string | undefined) =>
      /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync(`/proc/${process}/status`, "utf8"))?.[1];
    await expect.poll(() => listOf(server.child.pid)).toBe(listOf("self"));
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

const token = "a".repeat(32);

function receiveRequest(changes: object) {
  return { do: "receive", token, transport: "tcp", mode: "copy", streams: 1, ...changes };
}

test.each([
  ["TCP", () => [server.address]],
  ["a unix socket", () => ["--transport=unix"]],
])("64 streams at once, over %s", async (_, where) => {
  const cell = ["--streams=64", "--modes=copy", "--sizes=1M", "--repeat=1", "--bytes=256M"];
  const { code, stdout } = await zc(["bench", ...where(), ...cell, "--source=4M", "--json"]);
  expect(code).toBe(0);
  const { cells } = benchResultSchema.parse(JSON.parse(stdout.toString()));
  expect(cells.map(({ runs }) => runs.length)).toEqual([1]);
});

test("who only listens is not waited for for ever: 15 seconds", async () => {
  const silent = createServer(() => {});
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const { code, stderr } = await zc(["bench", `127.0.0.1:${port}`, ...twice]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^zc: \[TIMEOUT\] talk to tcp:.*: it said nothing for 15000 ms\n$/);
  silent.close();
});

test("it does not listen for datagrams", async () => {
  const { code, stderr } = await zc(["bench", "serve", "udp::0"]);
  expect(code).toBe(2);
  expect(stderr).toMatch(/its clients can ask for datagrams/);
});

describe("no message is believed", () => {
  const valid = fc.constantFrom(
    { do: "prepare", misalign: 1, touch: true, hugePages: false },
    receiveRequest({ mss: 4108, rcvbuf: 4096 }),
    { do: "send", token, to: ["tcp:h:1"], mode: "copy", size: 4096, streams: 2, bytes: 10 },
  );
  const wrong = fc.constantFrom(-1, 0.5, 2 ** 60, "x".repeat(1000), null, [], {}, Number.NaN);

  test("as it should be it is taken", () => {
    fc.assert(fc.property(valid, (message) => requestSchema.safeParse(message).success));
  });

  test("with one field changed, one more or one less, it is refused", () => {
    fc.assert(
      fc.property(valid, fc.nat(), wrong, (message, index, value) => {
        const names = Object.keys(message).filter(
          (name) => !["bytes", "mss", "rcvbuf"].includes(name),
        );
        const name = names[index % names.length] ?? "";
        const { [name as keyof typeof message]: _, ...less } = message;
        for (const changed of [{ ...message, [name]: value }, { ...message, more: value }, less])
          expect(requestSchema.safeParse(changed).success).toBe(false);
      }),
    );
  });

  test("whatever it is, nothing is thrown", () => {
    fc.assert(fc.property(fc.anything(), (message) => !requestSchema.safeParse(message).success));
  });
});
