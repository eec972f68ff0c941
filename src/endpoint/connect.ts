/** Connects to an address: every candidate in turn, and again while a retry time lasts. */
import { constants } from "node:os";
import { library } from "../../ffi/library.ts";
import { type Address, formatAddress } from "../address/index.ts";
import { describe } from "../descriptor.ts";
import { ZcError } from "../errors.ts";
import { pause, pollOut, ready } from "../run-job.ts";
import { type Connection, takeConnection } from "./connection.ts";
import { applySettings, effectiveSettings, type SocketSettings } from "./settings.ts";
import { closeSocket, openSocket } from "./socket.ts";
import { type Candidate, type OpenableAddress, transportOf } from "./transports.ts";

export interface ConnectOptions {
  readonly settings?: SocketSettings | undefined;
  /** For one attempt at one candidate, all that its greeting takes included. */
  readonly timeoutMs?: number | undefined;
  /** How long to go on when nobody listens there yet. */
  readonly retryMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const connectTimeoutMsDefault = 60_000;
const retryPauseMsMin = 20;
const retryPauseMsMax = 500;

const { EINPROGRESS, EAGAIN, ETIMEDOUT, ECONNREFUSED, ENOENT, ECONNRESET } = constants.errno;
const { EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL, EAFNOSUPPORT, ENODEV } = constants.errno;

/** Throws CONNECT or TIMEOUT. The caller owns the connection. */
export async function connect(address: Address, options: ConnectOptions = {}): Promise<Connection> {
  if (address.transport === "fd") return inheritedConnection(address.fd);
  const deadline = Date.now() + (options.retryMs ?? 0);
  for (let pauseMs = retryPauseMsMin; ; pauseMs = Math.min(pauseMs * 2, retryPauseMsMax)) {
    try {
      return await connectOnce(address, options);
    } catch (error) {
      if (!mayComeLater(error) || Date.now() + pauseMs > deadline) throw error;
      await pause(pauseMs, options.signal);
    }
  }
}

/** A socket that another program has connected before. */
export function inheritedConnection(fd: number): Connection {
  if (describe(fd).kind !== "socket") {
    throw new ZcError({
      code: "USAGE",
      operation: "use",
      subject: `fd:${fd}`,
      reason: "not a socket",
    });
  }
  return takeConnection(fd, { inherited: true });
}

async function connectOnce(address: OpenableAddress, options: ConnectOptions): Promise<Connection> {
  const transport = transportOf(address);
  let failure: unknown;
  for (const candidate of await transport.toConnect(address)) {
    const fd = openSocket(candidate.domain, transport.type);
    if (fd < 0) {
      failure ??= connectError(address, -fd);
      continue;
    }
    try {
      applySettings(fd, transport.settings, options.settings ?? {});
      await connectCandidate(fd, candidate, address, options);
      return takeConnection(fd, {
        settings: effectiveSettings(fd, options.settings ?? {}),
      });
    } catch (error) {
      closeSocket(fd);
      if (!(error instanceof ZcError) || !["CONNECT", "TIMEOUT"].includes(error.code)) throw error;
      failure = error;
    }
  }
  throw failure;
}

async function connectCandidate(
  fd: number,
  { sockaddr }: Candidate,
  address: OpenableAddress,
  { timeoutMs = connectTimeoutMsDefault, signal }: ConnectOptions,
): Promise<void> {
  const errno = -library().zc_socket_connect(fd, sockaddr, sockaddr.length);
  // A unix socket's full backlog says EAGAIN, unix(7): there is nothing to wait for.
  if (errno === EINPROGRESS) {
    if (!(await ready(fd, pollOut, { timeoutMs, signal }))) throw connectError(address, ETIMEDOUT);
    const late = -library().zc_socket_error(fd);
    if (late !== 0) throw connectError(address, late);
  } else if (errno !== 0) {
    throw connectError(address, errno);
  }
  await transportOf(address).greet?.(fd, address, { timeoutMs, signal });
}

function connectError(address: Address, errno: number): ZcError {
  return new ZcError({
    code: errno === ETIMEDOUT ? "TIMEOUT" : errno === EAFNOSUPPORT ? "UNSUPPORTED" : "CONNECT",
    operation: "connect to",
    subject: formatAddress(address),
    errno,
    hint: hints[errno] ?? "",
  });
}

const hints: Record<number, string | undefined> = {
  [ECONNREFUSED]: "does anything listen there? --retry 5s waits for it",
  [ENOENT]: "does anything listen there? --retry 5s waits for it",
  [EAFNOSUPPORT]: "this kernel has no such transport: `zc doctor` tells more",
  [ENODEV]: "this machine has no vsock for that CID: `zc doctor` tells more",
  [EHOSTUNREACH]: "the network has no way there",
  [ENETUNREACH]: "the network has no way there",
};

/** Errors that a listener which is about to start, or a guest that boots, explains. */
function mayComeLater(error: unknown): boolean {
  if (!(error instanceof ZcError)) return false;
  if (error.errno === undefined) return error.code === "CONNECT" || error.code === "TIMEOUT";
  return transient.has(error.errno);
}

const transient = new Set([
  ...[ECONNREFUSED, ENOENT, ECONNRESET, ETIMEDOUT, EAGAIN],
  ...[EHOSTUNREACH, ENETUNREACH, EADDRNOTAVAIL, ENODEV],
]);
