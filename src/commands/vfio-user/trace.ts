/** zc vfio-user trace: between a client and a server, every message as a line. */
import { defineCommand } from "../../command.ts";
import { acceptNext } from "../../endpoint/accept-next.ts";
import { connect } from "../../endpoint/connect.ts";
import type { Connection as Socket } from "../../endpoint/connection.ts";
import { type Listener, listen } from "../../endpoint/listen.ts";
import { ZcError } from "../../errors.ts";
import { printNote } from "../../print.ts";
import { type Results, withResults } from "../../results.ts";
import { eitherSignal } from "../../run-job.ts";
import { formatCounted } from "../../units.ts";
import { parseServer } from "../../vfio-user/address.ts";
import { describeMessage, messageJson } from "../../vfio-user/protocol/describe.ts";
import { decodeHeader, headerSize } from "../../vfio-user/protocol/header.ts";
import { Malformed } from "../../vfio-user/protocol/malformed.ts";
import { type TracedMessage, trace } from "../../vfio-user/trace.ts";
import { runJson } from "../run-json.ts";
import { quietOption, serverOptions } from "./server.ts";

export const command = defineCommand({
  usage: "LISTEN SOCKET",
  text: [
    "Listen on LISTEN, connect to SOCKET for whoever comes, pass on every message and descriptor,",
    'and print a line each: ">" is what the client says, "<" the server.',
  ].join("\n"),
  options: {
    keepOpen: {
      flag: "--keep-open",
      text: "one connection after another, and several at once; lines begin with their number",
    },
    retry: serverOptions.retry,
    json: { flag: "--json", text: "a JSON object a line" },
    quiet: quietOption,
  },
  examples: [
    "zc vfio-user trace /run/traced.sock /run/device.sock",
    "zc vfio-user trace /run/traced.sock /run/device.sock --json | jq -c 'select(.error)'",
  ],
  run: ([from = "", to = ""], values) =>
    runJson(values.json, (interrupt) =>
      withResults(interrupt, async (results, signal) => {
        const server = parseServer(to);
        const listener = await listen(parseServer(from));
        if (!values.quiet) printNote(`zc: listening on ${listener.address}`);
        const serve: Serve = (client, number, signal) => {
          const reach = () => connect(server, { retryMs: values.retry, signal });
          return traceOne(client, reach, new Lines(number, values, results), signal);
        };
        return await (values.keepOpen ? serveAll : serveFirst)(listener, serve, signal);
      }),
    ),
});

/** Returns the exit code. Takes over the client. */
type Serve = (client: Socket, number: number, signal: AbortSignal) => Promise<number>;

async function serveFirst(listener: Listener, serve: Serve, signal: AbortSignal): Promise<number> {
  const client = await acceptNext(listener, signal).finally(() => listener.close());
  return await serve(client, 1, signal);
}

async function serveAll(listener: Listener, serve: Serve, signal: AbortSignal): Promise<never> {
  const stop = new AbortController();
  const either = eitherSignal(stop.signal, signal);
  const running = new Set<Promise<unknown>>();
  try {
    for (let number = 1; ; number++) {
      const client = await acceptNext(listener, either);
      const served = serve(client, number, either)
        .catch((error) => stop.abort(error))
        .finally(() => running.delete(served));
      running.add(served);
    }
  } finally {
    listener.close();
    stop.abort();
    await Promise.all(running);
  }
}

interface Values {
  readonly keepOpen: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** How one connection ends is told; only what ends them all is thrown. */
async function traceOne(
  client: Socket,
  reach: () => Promise<Socket>,
  lines: Lines,
  signal: AbortSignal,
): Promise<number> {
  try {
    const server = await reach();
    const onMessage = lines.tell.bind(lines);
    const room = lines.room.bind(lines);
    const { end, error } = await trace({ client, server, onMessage, room, signal });
    lines.end(error, end);
    return error?.exitCode ?? 0;
  } catch (error) {
    client.close();
    const isOurs = error instanceof ZcError && error.code !== "WRITE_SINK";
    if (!isOurs) throw error;
    lines.end(error);
    return error.exitCode;
  }
}

class Lines {
  readonly #connection: number;
  readonly #values: Values;
  readonly #results: Results;
  readonly #begin = performance.now();
  #messages = 0;

  constructor(connection: number, values: Values, results: Results) {
    this.#connection = connection;
    this.#values = values;
    this.#results = results;
  }

  room(): Promise<void> | undefined {
    return this.#results.room();
  }

  tell(traced: TracedMessage): void {
    this.#messages++;
    const socket = traced.socket === "twin" ? "twin " : "";
    const text = `${this.#prefix}${socket}${line(traced)}`;
    this.#results.print(this.#values.json ? JSON.stringify(this.#json(traced)) : text);
  }

  end(error: ZcError | undefined, end?: "client" | "server"): void {
    const { json, quiet } = this.#values;
    const messages = this.#messages;
    if (error !== undefined) printNote(`${this.#prefix}${error.toLine()}`);
    if (json) {
      const how = { ...(end && { end }), ...(error && { error: error.toJSON() }) };
      this.#results.print(JSON.stringify({ ...this.#common, messages, ...how }));
    } else if (!quiet && error === undefined)
      printNote(`zc: ${this.#prefix}${formatCounted(messages, "message")}, the ${end} ended it`);
  }

  get #prefix(): string {
    return this.#values.keepOpen ? `${this.#connection} ` : "";
  }

  get #common() {
    const seconds = (performance.now() - this.#begin) / 1e3;
    return { connection: this.#connection, seconds };
  }

  #json(traced: TracedMessage): object {
    const { socket, from, bytes, fds } = traced;
    const common = { ...this.#common, socket };
    const { header, problem } = headerOf(bytes);
    if (header !== undefined)
      return {
        ...common,
        ...messageJson({ from, header, payload: bytes.subarray(headerSize), fds }),
      };
    const { offset, expected, found } = problem;
    return {
      ...common,
      from,
      header: bytes.subarray(0, headerSize).toHex(),
      malformed: { offset, expected, found },
    };
  }
}

function line({ from, bytes, fds }: TracedMessage): string {
  const { header, problem } = headerOf(bytes);
  if (header !== undefined)
    return describeMessage({ from, header, payload: bytes.subarray(headerSize), fds });
  return `${from === "client" ? ">" : "<"} malformed: ${problem.reason}`;
}

function headerOf(bytes: Uint8Array) {
  try {
    return { header: decodeHeader(bytes, 0xffff_ffff) };
  } catch (problem) {
    if (problem instanceof Malformed) return { problem };
    throw problem;
  }
}
