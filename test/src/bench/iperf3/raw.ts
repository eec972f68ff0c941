/** A client of an iperf3 server that says whatever it likes. */
import { connect, type Socket } from "node:net";
import { encodeCookie, makeCookie } from "../../../../src/bench/iperf3/cookie.ts";

export interface RawClient {
  readonly socket: Socket;
  readonly say: (...bytes: readonly (Uint8Array | string | readonly number[])[]) => void;
  /** The next bytes, in hexadecimal; rejects when the connection ends before. */
  readonly hear: (length: number) => Promise<string>;
  /** All that comes until the connection ends. */
  readonly rest: () => Promise<string>;
}

export function rawClient(address: string): RawClient {
  const socket = connect(Number(address.split(":").at(-1)), "127.0.0.1");
  let pending = Buffer.alloc(0);
  let hasEnded = false;
  let news = Promise.withResolvers<void>();
  const tell = () => {
    news.resolve();
    news = Promise.withResolvers();
  };
  socket.on("error", () => {});
  socket.on("close", () => {
    hasEnded = true;
    tell();
  });
  socket.on("data", (data: Buffer) => {
    pending = Buffer.concat([pending, data]);
    tell();
  });
  const take = (length: number) => {
    const taken = pending.subarray(0, length);
    pending = pending.subarray(length);
    return taken.toString("hex");
  };
  return {
    socket,
    say: (...parts) => {
      for (const part of parts)
        socket.write(typeof part === "string" ? part : Uint8Array.from(part));
    },
    hear: async (length) => {
      while (pending.length < length && !hasEnded) await news.promise;
      if (pending.length < length) throw new Error(`it ended after ${pending.toString("hex")}`);
      return take(length);
    },
    rest: async () => {
      while (!hasEnded) await news.promise;
      return take(pending.length);
    },
  };
}

/** A control connection whose cookie was taken, once the test before is over; and the cookie. */
export async function rawTest(address: string): Promise<RawClient & { cookie: Uint8Array }> {
  for (;;) {
    const cookie = encodeCookie(makeCookie());
    const client = rawClient(address);
    client.say(cookie);
    const state = await client.hear(1);
    if (state === "09") return { ...client, cookie };
    if (state !== "ff") throw new Error(`state ${state}`);
  }
}
