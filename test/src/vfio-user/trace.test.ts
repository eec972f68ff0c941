import { closeSync, openSync, writeSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { ZcError } from "../../../src/errors.ts";
import { startClient } from "../../../src/vfio-user/client.ts";
import { Connection, type Request } from "../../../src/vfio-user/connection.ts";
import { commandName, commands } from "../../../src/vfio-user/protocol/commands.ts";
import { decodeDmaData, encodeDmaAccess } from "../../../src/vfio-user/protocol/dma.ts";
import { encodeHeader, readHeader } from "../../../src/vfio-user/protocol/header.ts";
import { encodeVersion } from "../../../src/vfio-user/protocol/version.ts";
import { SharedMemory } from "../../../src/vfio-user/shared-memory.ts";
import { type TracedMessage, trace } from "../../../src/vfio-user/trace.ts";
import { openDescriptors, openedSince } from "../../support/descriptors.ts";
import { defaults, noReply, socketPair } from "./pair.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

const header = { id: 1, type: "command", noReply: false, isError: false, errno: 0 } as const;

/** "client main VERSION command 0", the last is how many descriptors came with it. */
function word({ socket, from, bytes, fds }: TracedMessage): string {
  const { command, type } = readHeader(bytes);
  return `${from} ${socket} ${commandName(command)} ${type} ${fds}`;
}

function traced() {
  const [near, client] = socketPair();
  const [server, far] = socketPair();
  const words: string[] = [];
  const ended = trace({ client, server, onMessage: (message) => words.push(word(message)) });
  return { near, far, words, ended };
}

test("what passes is told, and is what it was; descriptors go along, and none stays", async () => {
  const { near, far, words, ended } = traced();
  const before = openDescriptors();
  const fds: number[] = [];
  const onRequest = (request: Request) => {
    fds.push(...request.fds.splice(0));
    return { payload: request.payload, fds };
  };
  const client = new Connection(near, defaults);
  const server = new Connection(far, { ...defaults, onRequest });
  const mine = openSync("/dev/null", "r");
  const large = crypto.getRandomValues(new Uint8Array(60_000));
  const replies = await Promise.all(
    Array.from({ length: 40 }, () => client.request("MIG_DATA_WRITE", large)),
  );
  for (const { payload } of replies) expect(Buffer.compare(payload, large)).toBe(0);
  const reply = await client.request("DMA_MAP", bytes(1, 2), { fds: [mine] });
  expect([...reply.payload, reply.fds?.length]).toEqual([1, 2, 1]);
  expect(words.slice(-2)).toEqual(["client main DMA_MAP command 1", "server main DMA_MAP reply 1"]);
  expect(words.length).toBe(82);
  for (const fd of [...fds, ...(reply.fds ?? []), mine]) closeSync(fd);
  client.close();
  expect(await server.ended).toBeUndefined();
  expect(await ended).toEqual({ end: "client", error: undefined });
  await client.ended;
  await expect.poll(() => openedSince(before)).toEqual([]);
});

test("the server's end is the client's", async () => {
  const { near, far, ended } = traced();
  const client = new Connection(near, defaults);
  const server = new Connection(far, defaults);
  const waiting = client.request("DEVICE_RESET", bytes()).catch((error: unknown) => error);
  await waiting;
  server.close();
  expect(await client.ended).toBeUndefined();
  expect(await ended).toEqual({ end: "server", error: undefined });
});

test("a twin socket is traced too", async () => {
  const { near, far, words, ended } = traced();
  const [one, other] = socketPair();
  const capabilities = { twin_socket: { supported: true, fd_index: 0 } };
  const server = new Connection(far, {
    ...defaults,
    onRequest: ({ command }) =>
      command === commands.VERSION
        ? { payload: encodeVersion({ major: 0, minor: 1, capabilities }), fds: [other.fd] }
        : noReply,
  });
  const client = await startClient(near);
  other.close();
  using memory = new SharedMemory(4096);
  memory.bytes.set(bytes(7), 9);
  const rights = { readable: true, writable: true };
  await client.memory.map({ address: 0n, size: 4096n, ...rights, target: memory });
  const asking = new Connection(one, defaults);
  const reply = await asking.request("DMA_READ", encodeDmaAccess({ addr: 9n, count: 1n }));
  expect([...decodeDmaData(reply.payload).data]).toEqual([7]);
  expect(words).toEqual([
    ...["client main VERSION command 0", "server main VERSION reply 1"],
    ...["client main DMA_MAP command 0", "server main DMA_MAP reply 0"],
    ...["server twin DMA_READ command 0", "client twin DMA_READ reply 0"],
  ]);
  await client[Symbol.asyncDispose]();
  expect((await ended).end).toBe("client");
  expect(await asking.ended).toBeUndefined();
  expect(await server.ended).toBeUndefined();
});

test("what is no message is told and passed on, and then it is over", async () => {
  const { near, far, words, ended } = traced();
  const server = new Connection(far, defaults);
  writeSync(near.fd, encodeHeader({ ...header, command: 9, size: 5 }));
  expect((await server.ended)?.code).toBe("PROTOCOL");
  expect(words[0]).toBe("client main REGION_READ command 0");
  near.close();
  await ended;
});

test("an end within a message is PEER_RESET; a signal ends both sides", async () => {
  const { near, far, ended } = traced();
  writeSync(near.fd, bytes(1, 2, 3));
  near.close();
  expect((await ended).error?.code).toBe("PEER_RESET");
  far.close();
  const abort = new AbortController();
  const [client, one] = socketPair();
  const [server, two] = socketPair();
  onTestFinished(() => {
    client.close();
    server.close();
  });
  const tracing = trace({ client: one, server: two, onMessage: () => {}, signal: abort.signal });
  abort.abort(new Error("enough"));
  await expect(tracing).rejects.toThrow("enough");
});

test("without room nothing more is taken, and nothing is lost, whoever ends meanwhile", async () => {
  const [near, client] = socketPair();
  const [server, far] = socketPair();
  const words: string[] = [];
  const gate = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  let isOpen = false;
  const room = () => {
    if (words.length < 1 || isOpen) return undefined;
    asked.resolve();
    return gate.promise;
  };
  const onMessage = (message: TracedMessage) => void words.push(word(message));
  const ended = trace({ client, server, onMessage, room });
  for (const command of [13, 9]) writeSync(near.fd, encodeHeader({ ...header, command, size: 16 }));
  near.close();
  await asked.promise;
  expect(words).toEqual(["client main DEVICE_RESET command 0"]);
  isOpen = true;
  gate.resolve();
  const received: number[] = [];
  const onRequest = ({ command }: Request) => {
    received.push(command);
    return noReply;
  };
  await new Connection(far, { ...defaults, onRequest }).ended;
  expect(received).toEqual([13, 9]);
  expect(await ended).toEqual({ end: "client", error: undefined });
  expect(words.at(-1)).toBe("client main REGION_READ command 0");
});

test("a room that will never be ends it", async () => {
  const [near, client] = socketPair();
  const [server, far] = socketPair();
  const room = () => Promise.reject(new Error("no room"));
  const tracing = trace({ client, server, onMessage: () => {}, room });
  writeSync(near.fd, encodeHeader({ ...header, command: 13, size: 16 }));
  await expect(tracing).rejects.toThrow("no room");
  near.close();
  far.close();
});

test("who cannot tell ends it", async () => {
  const [near, client] = socketPair();
  const [server, far] = socketPair();
  const full = new ZcError({ code: "WRITE_SINK", reason: "no room" });
  const onMessage = () => {
    throw full;
  };
  const tracing = trace({ client, server, onMessage });
  writeSync(near.fd, encodeHeader({ ...header, command: 13, size: 16 }));
  await expect(tracing).rejects.toBe(full);
  near.close();
  far.close();
});
