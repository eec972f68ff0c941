/**
 * The client's side of a vfio-user connection: a device in another process, and a typed call for
 * everything that it can be asked. What the server says is checked, never believed. vfio-user
 * specification: https://www.qemu.org/docs/master/interop/vfio-user.html
 */
import { constants } from "node:os";
import type { Address } from "../address/index.ts";
import { family } from "../address/sockaddr.ts";
import { type ConnectOptions, connect } from "../endpoint/connect.ts";
import type { Connection as Socket } from "../endpoint/connection.ts";
import { socketType } from "../endpoint/socket.ts";
import { usageError } from "../errors.ts";
import { type CallOptions, Calls, type Limits } from "./client/calls.ts";
import { DmaMemory } from "./client/dma-memory.ts";
import { Interrupts } from "./client/interrupts.ts";
import { Migration } from "./client/migration.ts";
import { negotiate } from "./client/negotiate.ts";
import { Regions } from "./client/regions.ts";
import { Connection, type Request } from "./connection.ts";
import { type DeviceInfo, decodeDeviceInfo, encodeDeviceInfo } from "./protocol/device-info.ts";
import { type Capabilities, capabilityDefaults, type DecodedVersion } from "./protocol/version.ts";
import { Refusal } from "./refusal.ts";

export interface ClientOptions {
  /** Bytes of data in a message that are taken; default 1 MiB. */
  readonly maxDataXferSize?: number | undefined;
  /** false: the server's requests come over the one socket, and its replies between them. */
  readonly twinSocket?: boolean | undefined;
  /** How long a call waits for its reply, where it does not say; default 10 s. */
  readonly timeoutMs?: number | undefined;
  /** For connecting, and for the end: once it has aborted, nothing more is waited for there. */
  readonly signal?: AbortSignal | undefined;
  /** Told of a request of the server's that was refused. */
  readonly onRefusal?: ((command: number, error: unknown) => void) | undefined;
}

/** Descriptors in a message that are taken. */
const fdsMax = 253;
const { EINVAL } = constants.errno;

/** Throws CONNECT, TIMEOUT, PEER_RESET, DEVICE, and PROTOCOL for what no server says. */
export async function connectClient(
  address: Address,
  { retryMs, ...options }: ClientOptions & Pick<ConnectOptions, "retryMs"> = {},
): Promise<Client> {
  const { timeoutMs, signal } = options;
  return await startClient(await connect(address, { retryMs, timeoutMs, signal }), options);
}

/** Takes over a connected unix stream socket, and negotiates. Throws likewise, and USAGE. */
export async function startClient(socket: Socket, options: ClientOptions = {}): Promise<Client> {
  const { timeoutMs, signal, onRefusal } = options;
  const { maxDataXferSize = capabilityDefaults.max_data_xfer_size } = options;
  assertUnix(socket);
  let memory: DmaMemory | undefined;
  const onRequest = (request: Request) => {
    if (memory === undefined) throw new Refusal(EINVAL, "nothing is negotiated yet");
    return memory.answer(request);
  };
  const settings = { maxDataXferSize, fdsMax, timeoutMs, onRefusal, onRequest };
  const connection = new Connection(socket, settings);
  try {
    const negotiated = await negotiate(connection, offer(options), { timeoutMs, signal });
    const calls = new Calls(connection, negotiated.limits);
    memory = new DmaMemory(calls);
    const twin = negotiated.twin && new Connection(negotiated.twin, settings);
    return new Client({ calls, memory, twin, version: negotiated.version, signal });
  } catch (error) {
    connection[Symbol.dispose]();
    await connection.ended;
    throw error;
  }
}

interface ClientParts {
  readonly calls: Calls;
  readonly memory: DmaMemory;
  readonly version: DecodedVersion;
  readonly twin: Connection | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Disposing closes the connection once all is out, or at once when its signal has aborted. */
export class Client implements AsyncDisposable {
  readonly version: DecodedVersion;
  readonly limits: Limits;
  readonly regions: Regions;
  readonly interrupts: Interrupts;
  readonly memory: DmaMemory;
  readonly migration: Migration;
  readonly connection: Connection;
  readonly #calls: Calls;
  /** The server's own requests come over it. */
  readonly #twin: Connection | undefined;
  readonly #signal: AbortSignal | undefined;

  /** startClient makes it. */
  constructor({ calls, memory, version, twin, signal }: ClientParts) {
    this.version = version;
    this.limits = calls.limits;
    this.memory = memory;
    this.connection = calls.connection;
    this.#calls = calls;
    this.#twin = twin;
    this.#signal = signal;
    this.regions = new Regions(calls);
    this.interrupts = new Interrupts(calls);
    this.migration = new Migration(calls);
  }

  get hasTwinSocket(): boolean {
    return this.#twin !== undefined;
  }

  /** For messages. */
  get peer(): string {
    return this.connection.peer;
  }

  /** Throws DEVICE and PROTOCOL, and as every call TIMEOUT and PEER_RESET. */
  async info(options: CallOptions = {}): Promise<DeviceInfo> {
    const request = encodeDeviceInfo({ flags: 0, num_regions: 0, num_irqs: 0 });
    return decodeDeviceInfo(await this.#calls.call("DEVICE_GET_INFO", request, options));
  }

  /** To what it was in the beginning; its migration state is RUNNING then. */
  async reset(options: CallOptions = {}): Promise<void> {
    await this.#calls.call("DEVICE_RESET", new Uint8Array(), options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.regions[Symbol.dispose]();
    for (const connection of [this.connection, this.#twin])
      if (this.#signal?.aborted) connection?.[Symbol.dispose]();
      else connection?.close();
    await Promise.all([this.connection.ended, this.#twin?.ended]);
  }
}

function offer({ maxDataXferSize, twinSocket = true }: ClientOptions): Capabilities {
  return {
    max_msg_fds: fdsMax,
    max_data_xfer_size: maxDataXferSize ?? capabilityDefaults.max_data_xfer_size,
    ...(twinSocket && { twin_socket: { supported: true } }),
  };
}

/** Descriptors travel over no other. */
function assertUnix(socket: Socket): void {
  if (socket.domain === family.unix && socket.type === socketType.stream) return;
  socket.reset();
  throw usageError(socket.peer, "vfio-user needs a unix stream socket");
}
