import { closeSync, fstatSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
import { expect, test } from "vitest";
import { ZcError } from "../../../src/errors.ts";
import { pollIn, ready } from "../../../src/run-job.ts";
import { Connection, type Request } from "../../../src/vfio-user/connection.ts";
import { commands } from "../../../src/vfio-user/protocol/commands.ts";
import { encodeHeader, type Header } from "../../../src/vfio-user/protocol/header.ts";
import { Refusal } from "../../../src/vfio-user/refusal.ts";
import { connectionPair, defaults, noReply, socketPair } from "./pair.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);
const header: Header = {
  id: 1,
  command: commands.REGION_READ,
  size: 16,
  type: "command",
  noReply: false,
  isError: false,
  errno: 0,
};

async function caught(promise: Promise<unknown>): Promise<ZcError> {
  const error = await promise.catch((reason: unknown) => reason);
  if (!(error instanceof ZcError)) throw new Error(`no error: ${error}`);
  return error;
}

test("a request is handled there, and its reply comes back", async () => {
  const requests: Request[] = [];
  const onRequest = (request: Request) => {
    requests.push(request);
    return { payload: bytes(1, 2), data: bytes(3) };
  };
  const [client, server] = connectionPair({}, { onRequest });
  const reply = await client.request("REGION_READ", bytes(7, 8, 9));
  expect([...reply.payload]).toEqual([1, 2, 3]);
  expect(requests.map(({ command, payload }) => [command, ...payload])).toEqual([[9, 7, 8, 9]]);
  client.close();
  expect(await client.ended).toBeUndefined();
  expect(await server.ended).toBeUndefined();
});

test("both sides ask at once, with the same ids, and each has its own answer", async () => {
  const [one, two] = connectionPair(
    { onRequest: ({ payload }) => ({ payload: bytes(1, ...payload) }) },
    { onRequest: ({ payload }) => ({ payload: bytes(2, ...payload) }) },
  );
  const ask = (from: typeof one, index: number) =>
    from.request("DMA_READ", bytes(index)).then(({ payload }) => [...payload]);
  const indexes = Array.from({ length: 200 }, (_, index) => index);
  const replies = await Promise.all(indexes.flatMap((index) => [ask(one, index), ask(two, index)]));
  expect(replies).toEqual(
    indexes.flatMap((index) => [
      [2, index],
      [1, index],
    ]),
  );
  one.close();
  await Promise.all([one.ended, two.ended]);
});

test("requests are handled one after another, while replies come through", async () => {
  const order: string[] = [];
  const [client, server] = connectionPair(
    { onRequest: () => noReply },
    {
      onRequest: async ({ payload }) => {
        order.push(`begin ${payload[0]}`);
        await server.request("DMA_READ", bytes());
        order.push(`end ${payload[0]}`);
        return noReply;
      },
    },
  );
  await Promise.all([1, 2, 3].map((index) => client.request("REGION_READ", bytes(index))));
  expect(order).toEqual(["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]);
  client.close();
  await server.ended;
});

test("megabytes go through in both directions, however the socket takes them", async () => {
  const data = crypto.getRandomValues(new Uint8Array(65536));
  const large = Buffer.concat(Array.from({ length: 16 }, () => data));
  const [client, server] = connectionPair(
    {},
    { onRequest: ({ payload }) => ({ payload: bytes(), data: payload }) },
  );
  const replies = await Promise.all(
    Array.from({ length: 24 }, () => client.request("MIG_DATA_WRITE", bytes(), { data: large })),
  );
  for (const { payload } of replies) expect(Buffer.compare(payload, large)).toBe(0);
  client.close();
  await server.ended;
});

test("descriptors go along, to who keeps them; the others are closed", async () => {
  const before = readdirSync("/proc/self/fd").length;
  const kept: number[] = [];
  const [client, server] = connectionPair(
    {},
    {
      onRequest: ({ fds }) => {
        kept.push(...fds.splice(0, 1));
        return { payload: bytes(fds.length), fds: kept };
      },
    },
  );
  const mine = openSync("/dev/null", "r");
  const { payload, fds = [] } = await client.request("DMA_MAP", bytes(), { fds: [mine, mine] });
  expect(payload[0]).toBe(1);
  for (const fd of [...kept, ...fds]) expect(fstatSync(fd).rdev).toBe(fstatSync(mine).rdev);
  expect(fds.length).toBe(1);
  for (const fd of [...kept, ...fds, mine]) closeSync(fd);
  client.close();
  await Promise.all([client.ended, server.ended]);
  expect(readdirSync("/proc/self/fd").length).toBe(before);
});

test("a refusal has its errno; any other error of the handler is EIO, and told", async () => {
  const told: unknown[] = [];
  const [client, server] = connectionPair(
    {},
    {
      onRequest: ({ command }) => {
        if (command === commands.DMA_MAP) throw new Refusal(28, "no room");
        throw new TypeError("a bug");
      },
      onRefusal: (_, error) => told.push(error),
    },
  );
  const refused = await caught(client.request("DMA_MAP", bytes()));
  expect([refused.code, refused.errnoName]).toEqual(["DEVICE", "ENOSPC"]);
  const failed = await caught(client.request("DEVICE_RESET", bytes()));
  expect([failed.code, failed.errnoName]).toEqual(["DEVICE", "EIO"]);
  expect(told.map(String)).toEqual(["Refusal: no room: ENOSPC", "TypeError: a bug"]);
  client.close();
  await server.ended;
});

test("what is posted gets no reply, not even of its failure", async () => {
  const seen = Promise.withResolvers<number>();
  const [client, server] = connectionPair(
    {},
    {
      onRequest: ({ command }) => {
        if (command === commands.REGION_WRITE) throw new Refusal(22, "no");
        seen.resolve(command);
        return { payload: bytes(5) };
      },
    },
  );
  await client.post("REGION_WRITE", bytes(1));
  expect([...(await client.request("REGION_READ", bytes())).payload]).toEqual([5]);
  expect(await seen.promise).toBe(commands.REGION_READ);
  client.close();
  await server.ended;
});

test("who is not answered gives up in time; the late reply is dropped", async () => {
  const late = Promise.withResolvers<void>();
  const [client, server] = connectionPair(
    {},
    {
      onRequest: async ({ command }) => {
        if (command === commands.DMA_MAP) await late.promise;
        return noReply;
      },
    },
  );
  const error = await caught(client.request("DMA_MAP", bytes(), { timeoutMs: 20 }));
  expect(error.code).toBe("TIMEOUT");
  const abort = new AbortController();
  const aborted = client.request("DMA_MAP", bytes(), { signal: abort.signal });
  abort.abort(new Error("enough"));
  await expect(aborted).rejects.toThrow("enough");
  late.resolve();
  await client.request("REGION_READ", bytes());
  client.close();
  expect(await server.ended).toBeUndefined();
});

test("when the peer is gone, who waits is told, and so is who comes later", async () => {
  const [client, server] = connectionPair({}, { onRequest: () => new Promise(() => {}) });
  const waiting = caught(client.request("REGION_READ", bytes()));
  server[Symbol.dispose]();
  expect((await waiting).code).toBe("PEER_RESET");
  await client.ended;
  expect((await caught(client.request("REGION_READ", bytes()))).code).toBe("PEER_RESET");
});

test.each([
  ["a size below the header's", { size: 15 }, true],
  ["a size beyond the largest", { size: 0xffff_ffff }, true],
  ["a reply that nobody asked for", { type: "reply" }, false],
] as const)("%s is EINVAL", async (_, wrong, ends) => {
  const { socket, server, read } = rawPeer();
  writeSync(socket.fd, encodeHeader({ ...header, ...wrong }));
  const answer = await read();
  expect([
    answer.getUint16(0, true),
    answer.getUint32(8, true),
    answer.getUint32(12, true),
  ]).toEqual([1, 0x21, 22]);
  if (!ends) server.close();
  expect(await server.ended).toBeUndefined();
  socket.close();
});

test("an error reply that nobody asked for is not answered: two peers would never end", async () => {
  const { socket, server, read } = rawPeer();
  writeSync(socket.fd, encodeHeader({ ...header, type: "reply", isError: true, errno: 5 }));
  writeSync(socket.fd, encodeHeader({ ...header, id: 2 }));
  expect((await read()).getUint16(0, true)).toBe(2);
  socket.close();
  await server.ended;
});

test("a reply to another command fails the request that has its id", async () => {
  const { socket, server, read } = rawPeer();
  const asked = caught(server.request("DMA_READ", bytes()));
  const { buffer } = await read();
  const reply = new Uint8Array(buffer.slice(0, 16));
  reply[2] = commands.DMA_WRITE;
  reply[8] = 1;
  writeSync(socket.fd, reply);
  expect((await asked).code).toBe("PROTOCOL");
  socket.close();
  await server.ended;
});

/** A server whose peer writes and reads bytes as it likes. */
function rawPeer() {
  const [socket, far] = socketPair();
  const server = new Connection(far, defaults);
  const read = async () => {
    await ready(socket.fd, pollIn);
    const answer = new Uint8Array(64);
    readSync(socket.fd, answer);
    return new DataView(answer.buffer);
  };
  return { socket, server, read };
}
