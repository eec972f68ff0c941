/** zc bench serve --iperf3 withstands clients that say what they should not, or nothing. */

import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeCookie, makeCookie } from "../../../../src/bench/iperf3/cookie.ts";
import { encodeHeader } from "../../../../src/bench/iperf3/datagram.ts";
import { encodeFrame } from "../../../../src/bench/iperf3/frame.ts";
import { parametersFrame } from "../../../../src/bench/iperf3/parameters.schema.ts";
import {
  parseResults,
  resultsFrame,
  type TestResults,
} from "../../../../src/bench/iperf3/results.ts";
import { encodeState } from "../../../../src/bench/iperf3/states.ts";
import { listening, type Running } from "../../../support/zc.ts";
import { type RawClient, rawClient, rawTest } from "./raw.ts";

let server: Running & { address: string };

beforeAll(async () => {
  server = await listening(["bench", "serve", "--iperf3", "127.0.0.1:0"]);
});

afterAll(async () => {
  server.child.kill("SIGTERM");
  expect((await server.result).code).toBe(143);
});

function parameters(changes: object = {}): Uint8Array {
  return encodeFrame(parametersFrame, { tcp: true, num: 1, parallel: 1, ...changes });
}

const zeros = {
  ...{ cpu_util_total: 0, cpu_util_user: 0, cpu_util_system: 0, sender_has_retransmits: -1 },
  streams: [{ id: 1, bytes: 0, retransmits: -1, jitter: 0, errors: 0, packets: 0 }],
};

/** A test that runs: its control connection, and its data connection. */
async function running(changes: object = {}): Promise<{ control: RawClient; data: RawClient }> {
  const control = await rawTest(server.address);
  control.say(parameters(changes));
  expect(await control.hear(1)).toBe("0a");
  const data = rawClient(server.address);
  data.say(control.cookie);
  expect(await control.hear(2)).toBe("0102");
  return { control, data };
}

/** Ends a test that runs; the server ends its data connections before it waits for results. */
async function resultsOf(control: RawClient, data?: Promise<string>): Promise<TestResults> {
  control.say(encodeState("TEST_END"));
  expect(await control.hear(1)).toBe("0d");
  await data;
  control.say(encodeFrame(resultsFrame, zeros));
  const length = Number.parseInt(await control.hear(4), 16);
  const results = parseResults(Uint8Array.fromHex(await control.hear(length)));
  expect(await control.hear(1)).toBe("0e");
  control.say(encodeState("IPERF_DONE"));
  expect(await control.rest()).toBe("");
  return results;
}

/** A whole test, of which every byte that comes is counted here. */
async function reverse(): Promise<void> {
  const { control, data } = await running({ reverse: true });
  await data.hear(1_000_000);
  const rest = data.rest();
  const { streams } = await resultsOf(control, rest);
  const received = 1_000_000 + (await rest).length / 2;
  expect(streams.map(({ id, bytes }) => [id, bytes])).toEqual([[1, received]]);
  control.socket.destroy();
}

test("every byte that it counts as sent arrives", reverse);

const cookie = encodeCookie(makeCookie());

describe("no cookie", () => {
  test.each([
    ["HTTP", "GET / HTTP/1.1\r\nHost: localhost:5201\r\n\r\n", "fe0000006a00000000"],
    ["a benchmark of zc's own", `zc-bench-1 ${"0".repeat(32)}\n`, "fe0000006a00000000"],
    ["no NUL", "x".repeat(37), "fe0000006a00000000"],
    ["half a one", "x".repeat(18), ""],
    ["nothing", "", ""],
  ])("%s", async (_, text, answer) => {
    const client = rawClient(server.address);
    client.socket.end(text);
    expect(await client.rest()).toBe(answer);
    await reverse();
  });

  test("from many who say nothing: a test goes on beside them", async () => {
    const silent = Array.from({ length: 40 }, () => rawClient(server.address));
    await reverse();
    for (const { socket } of silent) socket.destroy();
  });
});

describe("parameters", () => {
  const refusedParameters = "fe0000007200000000";

  test.each([
    ["of 4 GiB", [0xff, 0xff, 0xff, 0xff], refusedParameters],
    ["of nothing", [0, 0, 0, 0], refusedParameters],
    ["that are no JSON", [0, 0, 0, 1, 0x7b], refusedParameters],
    ["with too many streams", parameters({ parallel: 129 }), refusedParameters],
    ["with too large blocks", parameters({ len: 1 << 21 }), refusedParameters],
    ["with too long a time", parameters({ time: 1e6 }), refusedParameters],
    ["of SCTP", parameters({ sctp: true }), "fe0000008300000000"],
    ["with too large buffers", parameters({ window: 512 << 20 }), "fe0000008d00000000"],
    [
      "with a congestion control that nobody has",
      parameters({ reverse: true, congestion: "pigeons" }),
      "fe0000008600000002",
    ],
    ["that end early", [0, 0, 1, 0, 0x7b], ""],
  ])("%s", async (_, bytes, answer) => {
    const client = await rawTest(server.address);
    client.say(bytes);
    client.socket.end();
    expect(await client.rest()).toBe(answer);
    await server.note(/zc: \[\w+\] test with tcp:/);
    await reverse();
  });
});

describe("data connections", () => {
  test("of others are denied, and do not count", async () => {
    const control = await rawTest(server.address);
    control.say(parameters());
    expect(await control.hear(1)).toBe("0a");
    const other = rawClient(server.address);
    other.say(cookie);
    expect(await other.rest()).toBe("ff");
    const data = rawClient(server.address);
    data.say(control.cookie);
    expect(await control.hear(2)).toBe("0102");
    const third = rawClient(server.address);
    third.say(control.cookie);
    expect(await third.rest()).toBe("ff");
    control.socket.destroy();
    await data.rest();
    await reverse();
  });

  test("go by when they came, not by whose cookie was read first", async () => {
    const control = await rawTest(server.address);
    control.say(parameters({ bidirectional: 1 }));
    expect(await control.hear(1)).toBe("0a");
    const ours = rawClient(server.address);
    await once(ours.socket, "connect");
    const theirs = rawClient(server.address);
    theirs.say(control.cookie);
    const later = rawClient(server.address);
    later.say(cookie);
    expect(await later.rest()).toBe("ff"); // so the cookie before it has been read
    ours.say(control.cookie);
    expect(await control.hear(2)).toBe("0102");
    await theirs.hear(100_000);
    expect(ours.socket.bytesRead).toBe(0);
    ours.socket.destroy();
    control.socket.destroy();
    await theirs.rest();
    await reverse();
  });

  test("that never come: the client may give up", async () => {
    const control = await rawTest(server.address);
    control.say(parameters({ parallel: 3 }));
    expect(await control.hear(1)).toBe("0a");
    control.say(encodeState("IPERF_DONE"));
    expect(await control.rest()).toBe("");
    await server.note(/test with \S+: it gave up/);
    await reverse();
  });

  test("that are reset: the test is over, and the client told", async () => {
    const { control, data } = await running();
    data.socket.resetAndDestroy();
    expect(await control.rest()).toBe("fe000000ce00000068");
    await server.note(/\[PEER_RESET\] test with \S+: receive from tcp: ECONNRESET/);
    await reverse();
  });

  test("that end: the test goes on", async () => {
    const { control, data } = await running();
    data.socket.end("12345");
    data.socket.on("end", () => {});
    control.say(encodeState("TEST_END"));
    expect(await control.hear(1)).toBe("0d");
    control.socket.destroy();
    await reverse();
  });
});

describe("datagrams", () => {
  async function boundSocket(): Promise<UdpSocket> {
    const socket = createSocket("udp4");
    await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
    return socket;
  }

  function sent(socket: UdpSocket, bytes: Uint8Array | string, port: number): Promise<void> {
    return new Promise((resolve) => socket.send(bytes, port, "127.0.0.1", () => resolve()));
  }

  function answerTo(socket: UdpSocket): Promise<string> {
    return new Promise((resolve) =>
      socket.once("message", (message) => resolve(message.toString())),
    );
  }

  test("that are no hello are not answered; who says hello is, and counted alone", async () => {
    const port = Number(server.address.split(":").at(-1));
    const control = await rawTest(server.address);
    control.say(parameters({ tcp: undefined, udp: true, len: 100, udp_counters_64bit: 1 }));
    expect(await control.hear(1)).toBe("0a");
    const [stranger, socket] = [await boundSocket(), await boundSocket()];
    await sent(stranger, Buffer.alloc(100), port);
    await sent(stranger, "hello", port);
    const answer = answerTo(socket);
    await sent(socket, "9876", port);
    expect(await answer).toBe("6789");
    expect(await control.hear(2)).toBe("0102");
    await sent(stranger, datagram(7), port);
    await sent(socket, "9876", port);
    for (const number of [1, 2, 4]) await sent(socket, datagram(number), port);
    await untilRead(socket);
    const { streams } = await resultsOf(control);
    expect(streams[0]).toMatchObject({ bytes: 300, packets: 4, errors: 1 });
    for (const each of [stranger, socket]) each.close();
    await reverse();
  });

  test("that never come: the client may give up", async () => {
    const control = await rawTest(server.address);
    control.say(parameters({ tcp: undefined, udp: true }));
    expect(await control.hear(1)).toBe("0a");
    control.say(encodeState("CLIENT_TERMINATE"));
    expect(await control.rest()).toBe("");
    await server.note(/test with \S+: it was stopped/);
    await reverse();
  });

  test("of a port that is taken: the test cannot be", async () => {
    const [, host = "", port = ""] = server.address.split(":");
    const taken = createSocket("udp4");
    await new Promise<void>((resolve) => taken.bind(Number(port), host, resolve));
    const control = await rawTest(server.address);
    control.say(parameters({ tcp: undefined, udp: true }));
    expect(await control.rest()).toBe("fe000000ca00000062");
    taken.close();
    await reverse();
  });

  /** proc_net_udp: "sl local_address rem_address st tx_queue:rx_queue …", in hexadecimal. */
  async function untilRead(socket: UdpSocket): Promise<void> {
    const port = socket.address().port.toString(16).toUpperCase().padStart(4, "0");
    const isFull = () =>
      readFileSync("/proc/net/udp", "utf8")
        .split("\n")
        .map((line) => line.trim().split(/\s+/))
        .some(([, , remote, , queues]) => {
          return remote?.endsWith(`:${port}`) && !queues?.endsWith(":00000000");
        });
    while (isFull()) await Bun.sleep(1);
  }

  function datagram(number: number): Uint8Array {
    const header = encodeHeader({ seconds: 0, microseconds: 0, number }, true);
    return Buffer.concat([header, Buffer.alloc(100 - header.length)]);
  }
});

describe("states", () => {
  test("that are none", async () => {
    const { control } = await running();
    control.say([99]);
    expect(await control.rest()).toBe("fe0000006e00000000");
    await server.note(/\[PROTOCOL\] test with \S+: iperf3 state: expected one of a client's/);
    await reverse();
  });

  test("results that are none", async () => {
    const { control } = await running();
    control.say(encodeState("TEST_END"));
    expect(await control.hear(1)).toBe("0d");
    control.say(encodeFrame(resultsFrame, []));
    expect(await control.rest()).toBe("fe0000007500000000");
    await reverse();
  });

  test("or any bytes at any time", async () => {
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 60 });
    const stage = fc.constantFrom("cookie", "parameters", "running");
    await fc.assert(
      fc.asyncProperty(stage, bytes, async (when, noise) => {
        const client = await clientAt(when);
        client.say(noise);
        client.socket.end();
        await client.rest();
      }),
      { numRuns: 60 },
    );
    await reverse();
  });

  async function clientAt(when: "cookie" | "parameters" | "running"): Promise<RawClient> {
    if (when === "cookie") return rawClient(server.address);
    return when === "parameters" ? rawTest(server.address) : (await running()).control;
  }
});
