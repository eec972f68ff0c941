/**
 * What a receiver would find in memory by the proposal "vsock: zerocopy receive" (third version,
 * November 2022): a page of headers, then the packets, each from the begin of a page on. It was
 * never merged, no kernel has it, and no mode uses it; who works on one finds its layout here. Pure.
 */
import { ZcError } from "../errors.ts";

/** u32 poll value, u32 number of headers. */
const prefixLength = 8;
/** u32 length, u32 flags. */
const headerLength = 8;

export interface VsockPacket {
  readonly bytes: number;
  readonly flags: number;
  /** Pages from the first of headers, which is page 0. */
  readonly firstPage: number;
  readonly pages: number;
}

/**
 * The packets that a page of headers tells of, up to the first without length. `mappedPages`: how
 * many there are, with that one. Throws PROTOCOL where a packet would lie beyond them.
 */
export function decodeVsockPages(headers: Uint8Array, mappedPages: number): VsockPacket[] {
  const view = new DataView(headers.buffer, headers.byteOffset, headers.byteLength);
  const pageSize = headers.byteLength;
  const packets: VsockPacket[] = [];
  let firstPage = 1;
  for (let at = prefixLength; at + headerLength <= pageSize; at += headerLength) {
    const bytes = view.getUint32(at, true);
    if (bytes === 0) break;
    const pages = Math.ceil(bytes / pageSize);
    if (firstPage + pages > mappedPages) throw beyond(packets.length, mappedPages);
    packets.push({ bytes, flags: view.getUint32(at + 4, true), firstPage, pages });
    firstPage += pages;
  }
  return packets;
}

function beyond(number: number, mappedPages: number): ZcError {
  return new ZcError({
    code: "PROTOCOL",
    operation: "receive",
    reason: `packet ${number} does not lie within the ${mappedPages} pages that are mapped`,
  });
}
