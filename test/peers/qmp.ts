/** A client of QEMU's machine protocol: docs/interop/qmp-spec in QEMU's sources. */
import { createConnection } from "node:net";
import { createInterface } from "node:readline";

export interface QmpEvent {
  readonly event: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

export interface Qmp {
  /** Resolves with what the command returns; rejects with QEMU's description of the error. */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
  /** Resolves with the first event, of all since the connection, that is wanted. */
  event(isWanted: (event: QmpEvent) => boolean): Promise<QmpEvent>;
}

type Message = QmpEvent | { return: unknown } | { error: { desc: string } } | { QMP: unknown };

/** Connects to a `-qmp unix:PATH,server=on` that listens already. */
export async function connectQmp(path: string): Promise<Qmp> {
  const socket = createConnection(path);
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => {});
  socket.on("error", ended.reject);
  socket.on("close", () => ended.reject(new Error("QEMU ended its QMP connection")));

  const replies: { resolve(value: unknown): void; reject(error: Error): void }[] = [];
  const events: QmpEvent[] = [];
  const watchers = new Set<() => void>();
  const lines = createInterface({ input: socket });
  lines.on("error", ended.reject); // it passes the socket's errors on
  lines.on("line", (line) => {
    const message: Message = JSON.parse(line);
    if ("event" in message) events.push(message);
    if ("return" in message) replies.shift()?.resolve(message.return);
    if ("error" in message) replies.shift()?.reject(new Error(message.error.desc));
    for (const watcher of watchers) watcher();
  });

  const qmp: Qmp = {
    execute: (command, args = {}) => {
      const { promise, ...reply } = Promise.withResolvers<unknown>();
      replies.push(reply);
      socket.write(`${JSON.stringify({ execute: command, arguments: args })}\n`);
      return Promise.race([promise, ended.promise]);
    },
    event: (isWanted) => {
      const { promise, resolve } = Promise.withResolvers<QmpEvent>();
      const look = () => {
        const found = events.find(isWanted);
        if (found === undefined) return;
        watchers.delete(look);
        resolve(found);
      };
      watchers.add(look);
      look();
      return Promise.race([promise, ended.promise]);
    },
  };
  await qmp.execute("qmp_capabilities");
  return qmp;
}
