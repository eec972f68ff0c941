/** What a destination answers: QEMU, source_return_path_thread in migration/migration.c. Pure. */

import { Skipper } from "./collect.ts";
import { Cursor, Incomplete } from "./cursor.ts";
import { malformed, truncated } from "./malformed.ts";
import type { AnswerJson } from "./return-path.schema.ts";

/** QEMU's own limit of what a message carries. */
const dataMax = 512;
/** Bits of one block's pages: 16 TiB of 4 KiB. */
const bitmapMax = 512 << 20;
const bitmapEnd = 0x0123456789abcdefn;

type Reader = (cursor: Cursor) => object;

/** By number. */
const messages: Readonly<Record<number, readonly [type: AnswerJson["type"], read: Reader]>> = {
  1: ["shut", (cursor) => ({ error: cursor.u32() })],
  2: ["pong", (cursor) => ({ value: cursor.u32() })],
  3: ["req-pages", (cursor) => ({ ...readRange(cursor), block: cursor.name() })],
  4: ["req-pages", readRange],
  5: ["recv-bitmap", (cursor) => ({ block: cursor.name() })],
  6: ["resume-ack", (cursor) => ({ value: cursor.u32() })],
  7: ["switchover-ack", () => ({})],
};

/** Bytes in, at any split, and answers out. */
export class ReturnPathParser {
  readonly #onAnswer: (answer: AnswerJson) => void;
  #offset = 0;
  /** A bitmap that comes behind its message. */
  #bitmap: Bitmap | undefined;

  constructor(onAnswer: (answer: AnswerJson) => void) {
    this.#onAnswer = onAnswer;
  }

  /** Takes what it can, and returns how many bytes it is done with. Throws PROTOCOL. */
  take(bytes: Uint8Array): number {
    const cursor = new Cursor(bytes, this.#offset);
    try {
      while (cursor.left > 0) this.#step(cursor);
    } catch (error) {
      if (!(error instanceof Incomplete)) throw error;
    }
    this.#offset += cursor.committed;
    return cursor.committed;
  }

  /** There is no more than these, of which `take` takes none. Throws TRUNCATED. */
  end(bytes: Uint8Array): void {
    if (bytes.length > 0 || this.#bitmap !== undefined)
      throw truncated(this.#offset + bytes.length, "the rest of an answer");
  }

  #step(cursor: Cursor): void {
    if (this.#bitmap === undefined) {
      this.#readMessage(cursor);
      return;
    }
    this.#bitmap.read(cursor);
    this.#onAnswer(this.#bitmap.answer(cursor.offset));
    this.#bitmap = undefined;
  }

  #readMessage(cursor: Cursor): void {
    const { offset } = cursor;
    const number = cursor.u16();
    const length = cursor.u16();
    const [type, read] = messages[number] ?? [];
    if (type === undefined || read === undefined)
      throw malformed({ offset, expected: "an answer of a destination", found: `type ${number}` });
    if (length > dataMax)
      throw malformed({ offset, expected: `at most ${dataMax} bytes`, found: `${length}` });
    const fields = readAll(cursor.take(length), read, cursor.offset - length);
    cursor.commit();
    const answer = { type, offset, length: cursor.offset - offset, ...fields } as AnswerJson;
    if (type === "recv-bitmap") this.#bitmap = new Bitmap(answer);
    else this.#onAnswer(answer);
  }
}

function readAll(data: Uint8Array, read: Reader, offset: number): object {
  const cursor = new Cursor(data, offset);
  try {
    const fields = read(cursor);
    if (cursor.left === 0) return fields;
  } catch (error) {
    if (!(error instanceof Incomplete)) throw error;
  }
  throw malformed({ offset, expected: "an answer of its length", found: `${data.length} bytes` });
}

function readRange(cursor: Cursor): object {
  return { start: Number(cursor.u64()), bytes: cursor.u32() };
}

/** Which pages of a block have come, a bit each: behind its message, with an end of its own. */
class Bitmap {
  readonly #answer: AnswerJson;
  #skipper: Skipper | undefined;
  #bytes = 0;

  constructor(answer: AnswerJson) {
    this.#answer = answer;
  }

  answer(offset: number): AnswerJson {
    const length = offset - this.#answer.offset;
    return { ...this.#answer, length, bytes: this.#bytes } as AnswerJson;
  }

  read(cursor: Cursor): void {
    this.#skipper ??= this.#begin(cursor);
    this.#skipper.read(cursor);
    const { offset } = cursor;
    const end = cursor.u64();
    if (end !== bitmapEnd)
      throw malformed({ offset, expected: "a bitmap's end", found: `0x${end.toString(16)}` });
    cursor.commit();
  }

  #begin(cursor: Cursor): Skipper {
    const { offset } = cursor;
    const bytes = cursor.u64();
    if (bytes > bitmapMax)
      throw malformed({ offset, expected: "a bitmap of a block", found: `${bytes} bytes` });
    cursor.commit();
    this.#bytes = Number(bytes);
    return new Skipper(this.#bytes);
  }
}
