/** A client of a server in this process, over a real socket: typed where it can, bytes where it must. */
import { closeSync, readSync, writeSync } from "node:fs";
import { library } from "../../../../ffi/library.ts";
import { ZcError } from "../../../../src/errors.ts";
import {
  Connection,
  type ConnectionOptions,
  type Reply,
} from "../../../../src/vfio-user/connection.ts";
import type { CommandName } from "../../../../src/vfio-user/protocol/commands.ts";
import { type Capabilities, encodeVersion } from "../../../../src/vfio-user/protocol/version.ts";
import type { VirtualDevice } from "../../../../src/vfio-user/server/device.ts";
import { Session } from "../../../../src/vfio-user/server/session.ts";
import { defaults, socketPair } from "../pair.ts";

export interface TestClient extends AsyncDisposable {
  readonly connection: Connection;
  readonly session: Session;
  /** The reply, or the name of its errno. */
  ask(name: CommandName, payload: Uint8Array, fds?: readonly number[]): Promise<Reply | string>;
  /** The reply's payload; fails the test where there is none. */
  get(name: CommandName, payload: Uint8Array, fds?: readonly number[]): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface ClientOptions extends Partial<ConnectionOptions> {
  readonly capabilities?: Capabilities;
}

/** A session of the device, and its client, that has said VERSION. */
export async function attach(
  device: VirtualDevice,
  { capabilities = { max_msg_fds: 8 }, ...options }: ClientOptions = {},
): Promise<TestClient> {
  const [near, far] = socketPair();
  const session = new Session(far, device);
  const connection = new Connection(near, { ...defaults, ...options });
  const client: TestClient = {
    connection,
    session,
    ask: async (name, payload, fds = []) => {
      try {
        return await connection.request(name, payload, { fds });
      } catch (error) {
        if (error instanceof ZcError && error.code === "DEVICE") return error.errnoName ?? "?";
        throw error;
      }
    },
    get: async (name, payload, fds) => {
      const reply = await client.ask(name, payload, fds);
      if (typeof reply === "string") throw new Error(`${name}: ${reply}`);
      return reply.payload;
    },
    close: async () => {
      connection.close();
      await Promise.all([connection.ended, session.ended]);
    },
    [Symbol.asyncDispose]: () => client.close(),
  };
  await client.get("VERSION", encodeVersion({ major: 0, minor: 1, capabilities }));
  return client;
}

/** An eventfd, and how often it was signalled since it was last asked. */
export function eventFd(): { fd: number; count: () => number; close: () => void } {
  const fd = library().zc_event_open();
  library().zc_fd_nonblocking(fd, 1);
  return {
    fd,
    count: () => {
      const value = new BigUint64Array(1);
      try {
        readSync(fd, value);
      } catch {
        return 0;
      }
      return Number(value[0]);
    },
    close: () => closeSync(fd),
  };
}

/** A file in memory of so many bytes, each of its number's lowest 8 bits. */
export function memoryFile(size: number): number {
  const fd = library().zc_shared_memory_open(size);
  writeSync(
    fd,
    Uint8Array.from({ length: size }, (_, at) => at),
    0,
    size,
    0,
  );
  return fd;
}
