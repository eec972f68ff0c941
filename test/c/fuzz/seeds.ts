/** Streams as seeds for the fuzzer of RAM records: cut into small pieces, one of each shape. */
import { Ram } from "../../../src/migration/ram/ram.ts";
import { Cursor } from "../../../src/migration/stream/cursor.ts";
import { counted, joined, u8, u64 } from "../../../src/migration/stream/joined.ts";
import { StreamParser } from "../../../src/migration/stream/parser.ts";

/** ram_fuzz.c's: records with an image, pages of 4096; and its largest block. */
const options = 0x2d;
const block = { name: "m", pages: 66 };
const pageSize = 4096;
const seedMax = 12_000;

const flag = { zero: 0x02, page: 0x08, end: 0x10, again: 0x20, xbzrle: 0x40, zlib: 0x100 };

interface Piece {
  /** What kind of record it is. */
  readonly flags: number;
  readonly page: bigint;
  readonly namesBlock: boolean;
  /** Behind the block's name. */
  readonly body: Uint8Array;
}

/** Of a stream's bytes. */
export function seedsOf(stream: Uint8Array): readonly Uint8Array[] {
  const seeds = new Map<string, Uint8Array>();
  for (const section of ramSectionsIn(stream))
    for (const pieces of groupsOf(piecesIn(section))) {
      const shape = pieces.map(({ flags, namesBlock }) => `${flags} ${namesBlock}`);
      const key = shape.filter((one, index) => one !== shape[index - 1]).join();
      if (!seeds.has(key)) seeds.set(key, joined(u8(options), ...pieces.map(encode)));
    }
  return [...seeds.values()];
}

/** Their records, without the list of blocks. */
function ramSectionsIn(stream: Uint8Array): readonly Uint8Array[] {
  const sections: Uint8Array[] = [];
  let bulk: Uint8Array[] = [];
  using ram = new Ram(pageSize);
  const parser = new StreamParser({
    ram,
    onBulk: (bytes) => bulk.push(bytes.slice()),
    onElement: (element) => {
      const hasRecords = element.type === "part" || element.type === "end";
      if (hasRecords && element.payload.kind === "ram") sections.push(joined(...bulk));
      bulk = [];
    },
  });
  let done = 0;
  for (let taken = 1; taken > 0 || parser.isPaused; done += taken)
    taken = parser.take(stream.subarray(done));
  parser.end(stream.subarray(done));
  return sections;
}

function* piecesIn(section: Uint8Array): Generator<Piece> {
  const cursor = new Cursor(section, 0);
  while (cursor.left > 0) {
    const word = cursor.u64();
    const flags = Number(word % BigInt(pageSize));
    const kind = flags & ~flag.again;
    const isPage = kind !== flag.end && kind < 0x200;
    const namesBlock = isPage && (flags & flag.again) === 0;
    if (namesBlock) cursor.name();
    const page = (word / BigInt(pageSize)) % BigInt(block.pages);
    yield { flags, page, namesBlock, body: cursor.take(bodyLength(kind, cursor.rest())) };
  }
}

function bodyLength(kind: number, rest: Uint8Array): number {
  const view = new DataView(rest.buffer, rest.byteOffset);
  if (kind === flag.page) return pageSize;
  if (kind === flag.zero) return 1;
  if (kind === flag.xbzrle) return 3 + view.getUint16(1);
  return kind === flag.zlib ? 4 + view.getUint32(0) : 0;
}

/** Each as long as a seed can be. */
function* groupsOf(pieces: Iterable<Piece>): Generator<readonly Piece[]> {
  let group: Piece[] = [];
  let length = 0;
  for (const piece of pieces) {
    if (length + piece.body.length > seedMax) {
      yield group;
      [group, length] = [[], 0];
    }
    group.push(piece);
    length += piece.body.length + 11;
  }
  yield group;
}

/** The first has to name its block. */
function encode({ flags, page, namesBlock, body }: Piece, index: number): Uint8Array {
  const isNamed = namesBlock || (index === 0 && (flags & flag.again) !== 0);
  const word = (page * BigInt(pageSize)) | BigInt(isNamed ? flags & ~flag.again : flags);
  return joined(u64(word), ...(isNamed ? [counted(block.name)] : []), body);
}
