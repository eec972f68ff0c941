/** A test's connections, as a client makes them. */
import { type Address, parseAddress } from "../../address/index.ts";
import { connect } from "../../endpoint/connect.ts";
import type { Connection } from "../../endpoint/connection.ts";
import { writeFully } from "../../endpoint/read.ts";
import type { SocketSettings } from "../../endpoint/settings.ts";
import { ZcError } from "../../errors.ts";
import { pause } from "../../run-job.ts";
import { Control } from "./control.ts";
import { encodeCookie } from "./cookie.ts";
import { expectState } from "./expect.ts";
import { sayHello } from "./hello.ts";

const connectMsMax = 10_000;
const stateMsMax = 30_000;
const retryPauseMs = 20;

export interface OpenOptions {
  readonly cookie: string;
  /** How long to go on where the server does not take a test yet. */
  readonly retryMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** The server waits for parameters. Throws CONNECT where there is none, or a busy one. */
export async function openControl(
  address: Address,
  options: OpenOptions,
): Promise<Control<"server">> {
  const deadline = Date.now() + options.retryMs;
  for (;;) {
    try {
      return await openOnce(address, options);
    } catch (error) {
      if (!mayComeLater(error) || Date.now() >= deadline) throw error;
      await pause(retryPauseMs, options.signal);
    }
  }
}

/** A server that has just ended a test closes its listener, and opens another. */
function mayComeLater(error: unknown): boolean {
  return error instanceof ZcError && (error.code === "CONNECT" || error.code === "PEER_RESET");
}

async function openOnce(
  address: Address,
  { cookie, signal }: OpenOptions,
): Promise<Control<"server">> {
  const connection = await connect(address, { timeoutMs: connectMsMax, signal });
  const control = new Control(connection, "server");
  try {
    await control.send(encodeCookie(cookie), signal);
    await expectState(control, "PARAM_EXCHANGE", { ms: stateMsMax, signal });
    return control;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** A socket for datagrams to there, which the server knows. */
export async function openDatagrams(
  control: Control<"server">,
  settings: SocketSettings,
  { signal }: OpenOptions,
): Promise<Connection> {
  const address = { ...parseAddress(control.peer), transport: "udp" } as Address;
  const connection = await connect(address, { settings, timeoutMs: connectMsMax, signal });
  try {
    await sayHello(connection, signal);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** Another connection to where `control` has found the server, which knows it by the cookie. */
export async function openStream(
  control: Control<"server">,
  settings: SocketSettings,
  { cookie, signal }: OpenOptions,
): Promise<Connection> {
  const address = parseAddress(control.peer);
  const connection = await connect(address, { settings, timeoutMs: connectMsMax, signal });
  await writeFully(connection.fd, encodeCookie(cookie), { signal }).catch((error) => {
    connection.close();
    throw error;
  });
  return connection;
}
