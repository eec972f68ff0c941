/**
 * A stream in which each page carries its number, through a channel whose few buffers are refilled
 * as soon as they come back: a page that is sent again after that arrives with another's number.
 *
 *   bun test/lab/pattern.ts send MODE ADDR PAGES [GATE]   prints the channel's counters as JSON
 *   bun test/lab/pattern.ts check                         reads standard input; prints the pages, or what is wrong
 *
 * With GATE, the first time that no buffer has come back for a while a connection is made there: a
 * receiver that waits for it stalls for just as long as the sender needs to see it.
 */
import type { ChannelMode } from "../../src/channel/choose.ts";
import { openChannel, parseAddress, ZcError } from "../../src/index.ts";
import { printNote, printResult } from "../../src/print.ts";

const pageSize = 4096;
const pagesPerBuffer = 16;
const buffers = 8;
const stallMs = 1500;
/** For receivers in another guest to listen. */
const retryMs = 30_000;

const [action, mode = "", address = "", pages = "0", gate] = process.argv.slice(2);
try {
  if (action === "send")
    printResult(JSON.stringify(await send(mode as ChannelMode, address, Number(pages), gate)));
  else printResult(await check());
} catch (error) {
  if (!(error instanceof ZcError)) throw error;
  printNote(error.toLine());
  process.exit(error.exitCode);
}
process.exit(0);

async function send(mode: ChannelMode, to: string, total: number, gate?: string) {
  await using channel = await openChannel(parseAddress(to), {
    mode,
    depth: buffers,
    retryMs,
  });
  const free = Array.from({ length: buffers }, () => new Uint8Array(pagesPerBuffer * pageSize));
  let held = 0;
  let stalled = gate === undefined ? undefined : setTimeout(open, stallMs);
  async function open(): Promise<void> {
    stalled = undefined;
    const opened = await openChannel(parseAddress(gate ?? ""), { mode: "copy", retryMs });
    await opened.close();
  }
  for (let page = 0; page < total; page += pagesPerBuffer) {
    const buffer = free.pop();
    if (buffer === undefined) {
      await channel.flush();
      throw new Error("there is room, but no buffer");
    }
    number(buffer, page);
    const write = channel.write(buffer);
    void write.then(
      ({ buffers: [back], heldNs }) => {
        if (back !== undefined) free.push(back);
        held = Math.max(held, heldNs);
      },
      () => {}, // flush and close tell of it
    );
    await channel.room();
    stalled?.refresh();
  }
  await channel.close();
  clearTimeout(stalled);
  return { ...channel.counters, longestHeldNs: held };
}

/** Every word of a page is its number. */
function number(buffer: Uint8Array, first: number): void {
  const words = new Uint32Array(buffer.buffer);
  const wordsPerPage = pageSize / 4;
  for (let page = 0; page < pagesPerBuffer; page++)
    words.fill(first + page, page * wordsPerPage, (page + 1) * wordsPerPage);
}

async function check(): Promise<string> {
  const expected = new Uint32Array(pageSize / 4);
  const got = new Uint8Array(pageSize);
  let filled = 0;
  let pages = 0;
  let wrong = 0;
  for await (const chunk of Bun.stdin.stream()) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + pageSize - filled);
      got.set(part, filled);
      at += part.length;
      filled = (filled + part.length) % pageSize;
      if (filled > 0) continue;
      if (Buffer.compare(got, new Uint8Array(expected.fill(pages).buffer)) !== 0) wrong++;
      pages++;
    }
  }
  if (filled > 0) return `the last page has only ${filled} bytes`;
  return wrong === 0 ? `${pages} pages` : `${wrong} wrong pages of ${pages}`;
}
