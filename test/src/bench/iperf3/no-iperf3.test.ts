/** zc bench --iperf3, where something else answers, or nobody. */
import { createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { freePort } from "../../../peers/listening.ts";
import { measured, single, zcBench } from "./ours.ts";

describe("finds no iperf3", () => {
  let server: Server | undefined;

  afterEach(() => {
    server?.close();
  });

  async function fake(serve: (socket: Socket) => void): Promise<number> {
    const port = await freePort();
    server = createServer((socket) => {
      socket.on("error", () => {});
      serve(socket);
    });
    await new Promise<void>((resolve) => server?.listen(port, "127.0.0.1", resolve));
    return port;
  }

  test("where nobody listens", async () => {
    const { code, stderr } = await zcBench(await freePort(), ...single);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^zc: \[CONNECT\] connect to tcp:127.0.0.1:\d+: ECONNREFUSED/);
  });

  test.each([
    ["who closes at once", [], 1, /\[PEER_RESET\] test with .*: it closed the control connection/],
    ["who says no state", [0x48], 4, /\[PROTOCOL\] iperf3 state: .* found byte 72/],
    ["who says one too early", [0x0d], 4, /\[PROTOCOL\] iperf3 state: .* EXCHANGE_RESULTS/],
    ["who knows no such user", [0xfe, 0, 0, 0, 142], 1, /\[AUTH\].* does not know this user/],
    ["who breaks off an error", [0xfe, 0, 0], 4, /\[PROTOCOL\] iperf3 server error: /],
    ["who says that it stops", [0x09, 0x0b], 1, /\[PEER_RESET\] test with .*: it was stopped/],
  ])("but somebody %s", async (_, bytes, code, reason) => {
    const port = await fake((socket) => {
      socket.once("data", () => socket.end(Uint8Array.from(bytes)));
    });
    const result = await zcBench(port, ...single);
    expect(result.stderr).toMatch(reason);
    expect(result.stderr.trimEnd().split("\n").length).toBe(1);
    expect(result.code).toBe(code);
  });

  test.each([
    ["of other streams", resultsOf(2), /\[PROTOCOL\] iperf3 results: expected streams 1, found 2/],
    ["of none", "{}", /\[PROTOCOL\] iperf3 results cpu_util_total: expected/],
    ["that are no JSON", "{", /\[PROTOCOL\] iperf3 results: expected JSON/],
  ])("but somebody with results %s", async (_, results, reason) => {
    const serve = new FakeServer(results);
    const port = await fake((socket) => serve.take(socket));
    const { code, stderr } = await zcBench(port, ...single);
    expect(stderr).toMatch(reason);
    expect(code).toBe(4);
  });

  test("but somebody who sends so many bytes: they are counted", async () => {
    const serve = new FakeServer(resultsOf(1));
    const port = await fake((socket) => serve.take(socket));
    const cell = [...single, "--reverse", `--bytes=${fakeBytes}`, "--repeat=1"];
    const { cells } = await measured(port, ...cell);
    expect(cells[0]?.runs.map(({ bytes }) => bytes)).toEqual([fakeBytes]);
  });
});

const fakeBytes = 1_000_000;

/** Goes through tests with one stream each, and sends to it. */
class FakeServer {
  readonly #results: string;
  #control: Socket | undefined;

  constructor(results: string) {
    this.#results = results;
  }

  /** Of each test the control connection comes first. */
  take(socket: Socket): void {
    if (this.#control !== undefined) {
      this.#control.write(Uint8Array.of(1, 2));
      this.#control = undefined;
      socket.resume();
      socket.write(new Uint8Array(fakeBytes));
      return;
    }
    this.#control = socket;
    socket.on("data", (data: Buffer) => socket.write(this.#answer(data)));
  }

  /** To the cookie, the parameters, the end of the test, and the results. */
  #answer(data: Buffer): Uint8Array {
    const text = data.toString("latin1");
    if (text.includes("client_version")) return Uint8Array.of(0x0a);
    if (text.includes("cpu_util_total")) return frameOf(this.#results);
    return Uint8Array.of(data.at(-1) === 4 ? 0x0d : 0x09);
  }
}

function frameOf(json: string): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  return Buffer.concat([length, Buffer.from(json), Uint8Array.of(0x0e)]);
}

function resultsOf(id: number): string {
  const cpu = { cpu_util_total: 0, cpu_util_user: 0, cpu_util_system: 0 };
  const stream = { id, bytes: 1, retransmits: -1, jitter: 0, errors: 0, packets: 0 };
  return JSON.stringify({ ...cpu, sender_has_retransmits: -1, streams: [stream] });
}
