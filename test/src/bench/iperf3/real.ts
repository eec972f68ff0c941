/** iperf3 itself, as client and as server, and what it says. */
import { expect } from "vitest";
import { freePort, untilListening } from "../../../peers/listening.ts";
import { type Result, type Running, start } from "../../../support/zc.ts";

export interface Figures {
  readonly bytes: number;
  readonly seconds: number;
  /** Of datagrams. */
  readonly packets?: number;
  readonly lost_packets?: number;
}

/** The JSON of one test, the part that is looked at. */
export interface Report {
  readonly error?: string;
  readonly start: { readonly tcp_mss?: number };
  readonly intervals: readonly { readonly sum: Figures & { readonly omitted: boolean } }[];
  readonly server_output_text?: string;
  readonly end: {
    readonly streams: readonly { readonly sender: Figures; readonly receiver: Figures }[];
    readonly sum_sent: Figures;
    readonly sum_received: Figures;
    readonly sum_sent_bidir_reverse?: Figures;
    readonly sum_received_bidir_reverse?: Figures;
  };
}

/** `iperf3 -c` against a server at "tcp:127.0.0.1:PORT". */
export function iperf3(address: string, ...args: readonly string[]): Promise<Tested> {
  return testWith(["iperf3"], address, ...args);
}

/** The same with the iperf3 that a command runs. */
export async function testWith(
  [program, ...before]: Command,
  address: string,
  ...args: readonly string[]
): Promise<Tested> {
  const all = [...before, ...client(address), "--json", ...args];
  const { code, stdout } = await start(program, all).result;
  return { code, report: JSON.parse(stdout.toString()) };
}

type Command = readonly [program: string, ...before: string[]];

interface Tested {
  readonly code: number | undefined;
  readonly report: Report;
}

/** A test that goes on until somebody ends it, once bytes move. */
export async function startEndless(address: string, ...args: readonly string[]): Promise<Running> {
  const endless = ["-t", "1000", "-i", "0.1", "--forceflush"];
  const running = start("sh", [...toStderr, ...client(address), ...endless, ...args]);
  await running.note(/ sec /);
  return running;
}

/** Its standard output goes where it is read before the end. */
const toStderr = ["-c", 'exec "$0" "$@" >&2', "iperf3"];

function client(address: string): readonly string[] {
  const [, host = "", port = ""] = address.split(":");
  return ["-c", host, "-p", port];
}

interface RealServer {
  readonly port: number;
  readonly running: Running;
  readonly stop: () => Promise<Result>;
}

/** With what it says of each test that it had to the end: it is stopped once there are so many. */
export async function startIperf3Server(
  [program, ...before]: Command = ["iperf3"],
): Promise<RealServer & { readonly reports: (count: number) => Promise<readonly Report[]> }> {
  const server = await startServer(program, ...before, "--json");
  let said = "";
  server.running.child.stdout?.on("data", (data: Buffer) => {
    said += data.toString();
  });
  const reports = async (count: number) => {
    await expect.poll(() => said.match(/^\}$/gm)?.length).toBeGreaterThanOrEqual(count);
    const { stdout } = await server.stop();
    // Each begins and ends with a brace that has its line to itself.
    const documents = stdout.toString().split(/(?<=^\})$/m);
    const all: Report[] = documents
      .filter((text) => text.trim() !== "")
      .map((text) => JSON.parse(text));
    return all.filter(({ error }) => error === undefined);
  };
  return { ...server, reports };
}

/** What it says as it goes on can be waited for. */
export function startTalkingServer(): Promise<RealServer> {
  return startServer("sh", ...toStderr, "-i", "0.1");
}

async function startServer(command: string, ...args: readonly string[]): Promise<RealServer> {
  const port = await freePort();
  const where = ["-B", "127.0.0.1", "-p", String(port)];
  const running = start(command, [...args, "-s", ...where, "--forceflush"]);
  await untilListening(running, `tcp:127.0.0.1:${port}`);
  const stop = () => {
    running.child.kill("SIGTERM");
    return running.result;
  };
  return { port, running, stop };
}
