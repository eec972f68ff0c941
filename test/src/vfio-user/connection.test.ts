import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { Link, type RawMessage } from "../../../ffi/link.ts";
import type { Connection as Socket } from "../../../src/endpoint/connection.ts";
import { ZcError } from "../../../src/errors.ts";
import { LatencyHistogram } from "../../../src/latency.ts";
import { pause, pollIn, ready } from "../../../src/run-job.ts";
import {
  Connection,
  type ConnectionOptions,
  closeAll,
  type Reply,
  type Request,
} from "../../../src/vfio-user/connection.ts";
import { commands } from "../../../src/vfio-user/protocol/commands.ts";
import { encodeHeader, type Header, readHeader } from "../../../src/vfio-user/protocol/header.ts";
import { Refusal } from "../../../src/vfio-user/refusal.ts";
import { openDescriptors, openedSince } from "../../support/descriptors.ts";
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
  const before = openDescriptors();
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
  await expect.poll(() => openedSince(before)).toEqual([]);
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
  expect((await server.ended)?.code).toBe(ends ? "PROTOCOL" : undefined);
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

test("of several replies to a request the first counts; none leaves a descriptor", async () => {
  const { peer, us } = linkPeer();
  const asked = us.request("DMA_READ", bytes());
  const { id, command } = readHeader((await peer.next()).bytes);
  const mine = openSync("/dev/null", "r");
  const before = openDescriptors();
  const reply = encodeHeader({ ...header, id, command, type: "reply" });
  for (let each = 0; each < 20; each++) peer.link.send(reply, bytes(), [mine, mine]);
  closeAll((await asked).fds);
  // It refuses the others.
  for (let each = 1; each < 20; each++)
    expect(readHeader((await peer.next()).bytes).errno).toBe(22);
  closeSync(mine);
  await expect.poll(() => openedSince(before)).toEqual([]);
});

test("what was given up before there was room for it is never sent", async () => {
  const [socket, far] = socketPair();
  const us = new Connection(far, { ...defaults, maxDataXferSize: 4096 });
  const data = new Uint8Array(4096);
  const posts = Array.from({ length: 300 }, () => us.post("REGION_WRITE", data));
  const mine = openSync("/dev/null", "r");
  const options = { fds: [mine], timeoutMs: 20 };
  expect((await caught(us.request("DMA_MAP", bytes(), options))).code).toBe("TIMEOUT");
  closeSync(mine);
  const arrived: number[] = [];
  const peer = takingAll(socket, ({ bytes }) => arrived.push(readHeader(bytes).command));
  await Promise.all(posts);
  us.close();
  expect(await us.ended).toBeUndefined();
  await peer.ended;
  socket.close();
  expect(arrived).toEqual(posts.map(() => commands.REGION_WRITE));
});

test.each([
  ["bytes", 4096, 0],
  ["descriptors", 0, 8],
])("requests that wait have a bound: %s", async (_, size, fdCount) => {
  const over = Promise.withResolvers<Reply>();
  const onRequest = () => over.promise;
  const { peer, us } = linkPeer({ maxDataXferSize: 4096, onRequest });
  const mine = openSync("/dev/null", "r");
  const fds = Array.from({ length: fdCount }, () => mine);
  const command = encodeHeader({ ...header, size: 16 + size });
  let sent = 0;
  const sendAll = () => {
    while (sent < 1000 && peer.link.send(command, new Uint8Array(size), fds) === true) sent++;
  };
  do sendAll();
  while (sent < 1000 && (await peer.news(200)));
  expect(sent).toBeLessThan(1000);
  expect(openDescriptors().size).toBeLessThan(1000);
  us[Symbol.dispose]();
  over.resolve(noReply);
  closeSync(mine);
});

test("more descriptors than are offered are refused", async () => {
  const [client, server] = connectionPair({}, { fdsMax: 1 });
  const mine = openSync("/dev/null", "r");
  await client.request("DMA_MAP", bytes(), { fds: [mine] });
  const error = await caught(client.request("DMA_MAP", bytes(), { fds: [mine, mine] }));
  expect(error.errnoName).toBe("EINVAL");
  closeSync(mine);
  client.close();
  await server.ended;
});

test("who asks without end leaves timers and others their turn", async () => {
  const [client, server] = connectionPair();
  const counts = new BigUint64Array(new LatencyHistogram().counts.length);
  const request = encodeHeader(header);
  const job = client.link.call({ request, depth: 1024, durationMs: 600_000, counts });
  if (typeof job === "number") throw new Error(`errno ${-job}`);
  for (let turns = 0; turns < 10 || job.stats.calls === 0; turns++) await pause(1);
  job.cancel();
  expect((await job.ended).calls).toBeGreaterThan(0);
  client.close();
  await server.ended;
});

test("who answers nothing is asked so often, and no more", async () => {
  const { peer, us } = linkPeer();
  peer.drop();
  const ask = () => caught(us.request("DMA_READ", bytes(), { timeoutMs: 1 }));
  for (let round = 0; round < 4; round++) await Promise.all(Array.from({ length: 1024 }, ask));
  expect((await ask()).message).toMatch(/4096 requests were never answered/);
});

test("a command with the id of a reply that is late is not that reply", async () => {
  const { peer, us } = linkPeer();
  const error = caught(us.request("DMA_READ", bytes(), { timeoutMs: 20 }));
  const { id, command } = readHeader((await peer.next()).bytes);
  await error;
  peer.link.send(encodeHeader({ ...header, id }));
  expect(readHeader((await peer.next()).bytes)).toMatchObject({ id, type: "reply", errno: 0 });
  peer.link.send(encodeHeader({ ...header, id, command, type: "reply" }));
  peer.link.send(encodeHeader({ ...header, id: 77 }));
  expect(readHeader((await peer.next()).bytes).id).toBe(77);
});

test("a reply of a size that is none is PROTOCOL", async () => {
  const { socket, server, read } = rawPeer();
  const asked = caught(server.request("DMA_READ", bytes()));
  await read();
  writeSync(socket.fd, encodeHeader({ ...header, type: "reply", size: 3 }));
  expect((await asked).code).toBe("PROTOCOL");
  socket.close();
  await server.ended;
});

/** A connection whose peer says and takes whole messages as it likes. Both end with the test. */
function linkPeer(options: Partial<ConnectionOptions> = {}) {
  const [socket, far] = socketPair();
  const us = new Connection(far, { ...defaults, ...options });
  let wake = () => {};
  const link = started(socket, () => wake());
  onTestFinished(async () => {
    us[Symbol.dispose]();
    link.cancel();
    await Promise.all([us.ended, link.ended]);
    socket.close();
  });
  const news = async (timeoutMs: number): Promise<boolean> => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = setTimeout(() => resolve(false), timeoutMs);
    wake = () => resolve(true);
    return promise.finally(() => clearTimeout(timer));
  };
  const next = async (): Promise<RawMessage> => {
    for (;;) {
      const message = link.take();
      if (message !== undefined) return message;
      await news(10_000);
    }
  };
  const drop = () => {
    wake = () => {
      while (link.take() !== undefined);
    };
  };
  return { us, peer: { socket, link, next, news, drop } };
}

function started(socket: Socket, onNews: () => void): Link {
  const link = Link.start(socket.fd, { sizeMax: 2 << 20, heldMax: 64 << 10, onNews });
  if (typeof link === "number") throw new Error(`errno ${-link}`);
  return link;
}

function takingAll(socket: Socket, onMessage: (message: RawMessage) => void): Link {
  const link: Link = started(socket, () => {
    for (let next = link.take(); next !== undefined; next = link.take()) onMessage(next);
  });
  return link;
}

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
