/** The client's memory. libvfio-user: handle_dma_map and handle_dma_unmap. */
import { constants } from "node:os";
import type { Reply, Request } from "../../connection.ts";
import {
  type DmaUnmap,
  decodeDmaMap,
  decodeDmaUnmap,
  dmaUnmapFlags,
  encodeDmaUnmapReply,
} from "../../protocol/dma.ts";
import { Refusal } from "../../refusal.ts";
import { dataSizeMax } from "../limits.ts";
import { emptyReply, type Session } from "../session.ts";
import { checkedBitmapSize } from "../written-pages.ts";

const { EINVAL } = constants.errno;

/** Of several descriptors the first is taken. */
export function mapDma(session: Session, { payload, fds }: Request): Reply {
  const map = decodeDmaMap(payload);
  session.dma.map(map, fds.shift());
  return emptyReply;
}

/** Either flag alone; they are no longer in the specification. */
export function unmapDma(session: Session, { payload }: Request): Reply {
  const unmap = decodeDmaUnmap(payload, dataSizeMax);
  const { flags, addr, size } = unmap;
  if (flags === dmaUnmapFlags.ALL) {
    if (addr !== 0n || size !== 0n)
      throw new Refusal(EINVAL, "all of the memory, and a part of it");
    session.dma.unmapAll();
    return { payload: encodeDmaUnmapReply(unmap) };
  }
  if (flags !== 0 && flags !== dmaUnmapFlags.GET_DIRTY_BITMAP)
    throw new Refusal(EINVAL, "flags that there are not");
  const bits = takeBitmap(session, unmap);
  session.dma.unmap(addr, size);
  return { payload: encodeDmaUnmapReply(unmap, bits) };
}

function takeBitmap(session: Session, { addr, size, bitmap }: DmaUnmap) {
  if (bitmap === undefined) return undefined;
  if (bitmap.size !== BigInt(checkedBitmapSize(size, bitmap.pgsize)))
    throw new Refusal(EINVAL, "a bitmap of another size");
  return session.dma.takeLog(addr, size, bitmap.pgsize);
}
