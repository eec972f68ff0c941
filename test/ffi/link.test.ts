/** A link from JavaScript: two joined ones, and one whose peer is a raw socket. */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { constants } from "node:os";
import fc from "fast-check";
import { expect, test } from "vitest";
import { library } from "../../ffi/library.ts";
import { Link, type RawMessage } from "../../ffi/link.ts";
import { jobEnd } from "../../ffi/structs.ts";
import { openDescriptors, openedSince } from "../support/descriptors.ts";
import { scratch } from "../support/scratch.ts";

const { ECANCELED, ECONNRESET, EINVAL, EPIPE } = constants.errno;
const headerSize = 16;
const sizeMax = 1 << 20;

/** A header and its body, as one message. */
function message(id: number, body: Uint8Array, size?: number): Uint8Array {
  const bytes = new Uint8Array(headerSize + body.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, id, true);
  view.setUint16(2, 99, true);
  view.setUint32(4, size ?? bytes.length, true);
  bytes.set(body, headerSize);
  return bytes;
}

/** A body whose every byte depends on the number, and on where it is. */
function body(number: number, size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (number * 31 + index * 7) >> 2);
}

/** expect().toEqual() takes a second for a megabyte. */
function isMessage(raw: RawMessage | undefined, number: number, size: number): boolean {
  return raw !== undefined && Buffer.compare(raw.bytes, message(number, body(number, size))) === 0;
}

function socketPair(): [number, number] {
  const fds = new Int32Array(2);
  expect(library().zc_socket_pair(fds)).toBe(0);
  const [near = -1, far = -1] = fds;
  return [near, far];
}

/** A link, and a promise of its next news. */
class End {
  readonly link: Link;
  readonly #fd: number;
  #news = Promise.withResolvers<void>();

  constructor(fd: number, heldMax = 1 << 24) {
    library().zc_fd_nonblocking(fd, 1);
    const link = Link.start(fd, { sizeMax, heldMax, onNews: () => this.#tell() });
    if (typeof link === "number") throw new Error(`errno ${-link}`);
    this.link = link;
    this.#fd = fd;
  }

  get news(): Promise<void> {
    return this.#news.promise;
  }

  /** The next message, waited for. */
  async take(): Promise<RawMessage> {
    for (;;) {
      const { news } = this;
      const next = this.link.take();
      if (next !== undefined) return next;
      await news;
    }
  }

  async close(): Promise<void> {
    this.link.cancel();
    await this.link.ended;
    closeSync(this.#fd);
  }

  #tell(): void {
    const { resolve } = this.#news;
    this.#news = Promise.withResolvers<void>();
    resolve();
  }
}

function ends(heldMax?: number): [End, End] {
  const [near, far] = socketPair();
  return [new End(near, heldMax), new End(far, heldMax)];
}

test("messages arrive whole and in order, however they are made of two parts", async () => {
  const sizes = fc.oneof(fc.nat(20), fc.nat(5000), fc.constant(4096 - headerSize), fc.nat(200_000));
  const plan = fc.array(fc.tuple(sizes, fc.nat(1000)), { minLength: 1, maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(plan, async (messages) => {
      const [near, far] = ends();
      for (const [index, [size, cut]] of messages.entries()) {
        const bytes = message(index, body(index, size));
        const at = cut % (bytes.length + 1);
        expect(near.link.send(bytes.subarray(0, at), bytes.subarray(at))).toBe(true);
      }
      for (const [index, [size]] of messages.entries()) {
        const taken = await far.take();
        expect(isMessage(taken, index, size)).toBe(true);
        expect({ ...taken, bytes: undefined }).toMatchObject({
          fds: [],
          fdsLost: false,
          sizeBad: false,
        });
      }
      expect(far.link.take()).toBeUndefined();
      await Promise.all([near.close(), far.close()]);
    }),
    { numRuns: 30 },
  );
});

test("a message that was taken is not written over by the next one", async () => {
  const [near, far] = ends();
  near.link.send(message(1, body(1, 10)));
  near.link.send(message(2, body(2, 10)));
  const first = await far.take();
  await far.take();
  expect(isMessage(first, 1, 10)).toBe(true);
  await Promise.all([near.close(), far.close()]);
});

test("descriptors come with their message, and are copies", async () => {
  using folder = scratch();
  const before = openDescriptors();
  const [near, far] = ends();
  for (let count = 0; count < 4; count++) {
    const files = Array.from({ length: count }, (_, index) => folder.file(`${count}-${index}`));
    const fds = files.map((file) => openSync(file, "w+"));
    for (const [index, fd] of fds.entries()) writeSync(fd, `${count}-${index}`);
    expect(near.link.send(message(count, body(0, 9000)), undefined, fds)).toBe(true);
    for (const fd of fds) closeSync(fd);
  }
  for (let count = 0; count < 4; count++) {
    const { fds } = await far.take();
    expect(fds.map(content)).toEqual(Array.from(fds, (_, index) => `${count}-${index}`));
    expect(fds.length).toBe(count);
    for (const fd of fds) closeSync(fd);
  }
  await Promise.all([near.close(), far.close()]);
  await expect.poll(() => openedSince(before)).toEqual([]);
});

function content(fd: number): string {
  const bytes = new Uint8Array(fstatSync(fd).size);
  readSync(fd, bytes, 0, bytes.length, 0);
  return new TextDecoder().decode(bytes);
}

test("more descriptors than a message can have are refused, and one that is none is", async () => {
  const [near, far] = ends();
  const bytes = message(1, body(1, 1));
  expect(near.link.send(bytes, undefined, Array(254).fill(0))).toBe(-EINVAL);
  expect(near.link.send(bytes, undefined, [1_000_000])).toBe(-constants.errno.EBADF);
  expect(near.link.send(bytes, undefined, [])).toBe(true);
  expect((await far.take()).bytes).toEqual(bytes);
  await Promise.all([near.close(), far.close()]);
});

test("what the peer does not read is refused beyond a bound, and there is news of room", async () => {
  const [fd, peer] = socketPair();
  const near = new End(fd, 100_000);
  let sent = 0;
  while (near.link.send(message(sent, body(sent, 5000))) === true) sent++;
  expect(near.link.send(message(sent, body(sent, 5000)))).toBe(false);
  const far = new End(peer);
  // News of anything else comes too.
  while (near.link.send(message(sent, body(sent, 5000))) !== true) await near.news;
  for (let index = 0; index <= sent; index++)
    expect(isMessage(await far.take(), index, 5000)).toBe(true);
  await Promise.all([near.close(), far.close()]);
});

test("what arrives and nobody takes is not read beyond a bound, and nothing is lost", async () => {
  const [near, far] = ends(50_000);
  let sent = 0;
  let taken = 0;
  while (sent < 500) {
    if (near.link.send(message(sent, body(sent, 2000))) === true) {
      sent++;
      continue;
    }
    const first = far.link.take(); // makes room, one by one
    if (first === undefined) {
      await Promise.race([near.news, far.news]);
    } else {
      expect(isMessage(first, taken, 2000)).toBe(true);
      taken++;
    }
  }
  expect(sent - taken).toBeGreaterThan(20);
  for (; taken < sent; taken++) expect(isMessage(await far.take(), taken, 2000)).toBe(true);
  await Promise.all([near.close(), far.close()]);
});

test("what arrived before the end is taken after it", async () => {
  const [near, far] = ends();
  for (let index = 0; index < 5; index++) near.link.send(message(index, body(index, 6000)));
  near.link.end();
  expect(await near.link.ended).toMatchObject({ error: 0, end: jobEnd.closed });
  await near.close();
  expect(await far.link.ended).toMatchObject({ error: 0, end: jobEnd.eof });
  for (let index = 0; index < 5; index++)
    expect(isMessage(far.link.take(), index, 6000)).toBe(true);
  expect(far.link.take()).toBeUndefined();
  await far.close();
});

test.each([
  ["within a header", message(2, body(0, 0)).subarray(0, 7)],
  ["within a body", message(2, body(0, 100)).subarray(0, 50)],
])("a peer that ends %s broke the connection", async (_, part) => {
  const [fd, peer] = socketPair();
  const near = new End(fd);
  writeSync(peer, message(1, body(1, 10)));
  writeSync(peer, part);
  closeSync(peer);
  expect(await near.link.ended).toMatchObject({ error: ECONNRESET, end: 0 });
  expect(isMessage(near.link.take(), 1, 10)).toBe(true);
  expect(near.link.take()).toBeUndefined();
  await near.close();
});

test.each([0, headerSize - 1, sizeMax + 1, 2 ** 32 - 1])(
  "a message of %d bytes is none, and the last one",
  async (size) => {
    const [fd, peer] = socketPair();
    const near = new End(fd);
    const bad = message(2, body(0, 0), size);
    writeSync(peer, message(1, body(1, 10)));
    writeSync(peer, bad);
    writeSync(peer, message(3, body(0, 0)));
    expect(await near.take()).toMatchObject({ sizeBad: false });
    expect(await near.take()).toEqual({ bytes: bad, fds: [], fdsLost: false, sizeBad: true });
    near.link.end();
    expect(await near.link.ended).toMatchObject({ end: jobEnd.closed });
    expect(near.link.take()).toBeUndefined();
    await near.close();
    closeSync(peer);
  },
);

test("a link that has ended takes nothing more, and every call of it is harmless", async () => {
  const [near, far] = ends();
  near.link.cancel();
  expect(await near.link.ended).toMatchObject({ error: ECANCELED });
  expect(near.link.handle).toBe(0);
  expect(near.link.send(message(1, body(1, 1)))).toBe(-EPIPE);
  const memory = new Uint8Array(4096);
  near.link.serve({ index: 0, memory, readable: true, writable: true, countMax: 4096 });
  near.link.settle();
  near.link.end();
  near.link.cancel();
  await Promise.all([near.close(), far.close()]);
});

test("a region is answered from memory, unless something waits for its owner", async () => {
  const [server, client] = ends();
  const memory = new Uint8Array(8192).map((_, index) => index * 3);
  const dirty = new BigUint64Array(1);
  const all = { index: 4, readable: true, writable: true, countMax: 4096 };
  server.link.serve({ ...all, memory, dirty });
  client.link.send(access(1, 9, 4000n, 200));
  expect((await client.take()).bytes.subarray(headerSize + 16)).toEqual(memory.slice(4000, 4200));
  client.link.send(access(2, 10, 4095n, 2), Uint8Array.of(7, 8));
  expect((await client.take()).bytes.length).toBe(headerSize + 16);
  expect([memory[4095], memory[4096], dirty[0]]).toEqual([7, 8, 3n]);
  client.link.send(message(3, body(0, 0)));
  client.link.send(access(4, 9, 0n, 1));
  await server.take();
  expect((await server.take()).bytes).toEqual(access(4, 9, 0n, 1));
  server.link.settle();
  server.link.settle();
  client.link.send(access(5, 9, 0n, 1));
  expect((await client.take()).bytes[0]).toBe(5);
  expect(server.link.take()).toBeUndefined();
  await Promise.all([server.close(), client.close()]);
});

/** REGION_READ or REGION_WRITE of region 4; what is written follows. */
function access(id: number, command: 9 | 10, offset: bigint, count: number): Uint8Array {
  const size = headerSize + 16 + (command === 10 ? count : 0);
  const bytes = message(id, new Uint8Array(16), size);
  const view = new DataView(bytes.buffer);
  view.setUint16(2, command, true);
  view.setBigUint64(headerSize, offset, true);
  view.setUint32(headerSize + 8, 4, true);
  view.setUint32(headerSize + 12, count, true);
  return bytes;
}
