/** The parts of a device's region that are mapped here: reached without a message. */
import { constants } from "node:os";
import { library } from "../../../ffi/library.ts";
import { regionFlag } from "../../../ffi/structs.ts";
import { ZcError } from "../../errors.ts";
import { type RegionInfo, regionFlags, type SparseArea } from "../protocol/region-info.ts";

interface MappedArea extends SparseArea {
  /** Ours. */
  readonly address: number;
}

/** Where a piece of an access lies: in an area, or between areas; bytes. */
export interface Piece {
  readonly offset: bigint;
  readonly size: number;
  readonly area: MappedArea | undefined;
}

const { EFAULT } = constants.errno;

/** Disposing unmaps it; the descriptor was only borrowed. */
export class RegionMap implements Disposable {
  readonly #areas: readonly MappedArea[];

  private constructor(areas: readonly MappedArea[]) {
    this.#areas = areas;
  }

  static readonly none = new RegionMap([]);

  /** What cannot be mapped is left to messages: no device owes anybody a mapping that works. */
  static open(info: RegionInfo, fd: number): RegionMap {
    const flags =
      ((info.flags & regionFlags.READ) !== 0 ? regionFlag.read : 0) |
      ((info.flags & regionFlags.WRITE) !== 0 ? regionFlag.write : 0);
    const areas = info.areas ?? [{ offset: 0n, size: info.size }];
    const mapped = areas.flatMap((area) => {
      const offset = Number(info.offset + area.offset);
      const address = Number(library().zc_map(fd, offset, Number(area.size), flags));
      return address < 0 ? [] : [{ ...area, address }];
    });
    mapped.sort((one, other) => Number(one.offset - other.offset));
    return new RegionMap(mapped);
  }

  /** The pieces of an access, in their order. */
  *pieces(offset: bigint, size: number): Generator<Piece> {
    const end = offset + BigInt(size);
    for (let at = offset; at < end; ) {
      const area = this.#areas.find((each) => at >= each.offset && at < each.offset + each.size);
      const next = this.#areas.find((each) => each.offset > at);
      const pieceEnd = area === undefined ? (next?.offset ?? end) : area.offset + area.size;
      const until = pieceEnd < end ? pieceEnd : end;
      yield { offset: at, size: Number(until - at), area };
      at = until;
    }
  }

  [Symbol.dispose](): void {
    for (const { address, size } of this.#areas) library().zc_unmap(address, Number(size));
  }
}

/** Fills `out`. Throws DEVICE where the device has taken the memory away. */
export function readMapped(area: MappedArea, offset: bigint, out: Uint8Array): void {
  const at = area.address + Number(offset - area.offset);
  assertThere(library().zc_mapped_read(at, out, out.length));
}

export function writeMapped(area: MappedArea, offset: bigint, data: Uint8Array): void {
  const at = area.address + Number(offset - area.offset);
  assertThere(library().zc_mapped_write(at, data, data.length));
}

function assertThere(result: number): void {
  if (result >= 0) return;
  throw new ZcError({
    code: "DEVICE",
    operation: "access mapped memory of the device",
    errno: -result,
    hint: result === -EFAULT ? "its file is shorter than it said; --no-map goes by messages" : "",
  });
}
