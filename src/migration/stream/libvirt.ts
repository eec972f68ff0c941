/** libvirt's header, in front of the stream of a `virsh save`: libvirt, src/qemu/qemu_saveimage.h. */
import type { Cursor } from "./cursor.ts";
import type { Libvirt } from "./elements.ts";
import { limits } from "./format.ts";
import { malformed } from "./malformed.ts";

const magics = { LibvirtQemudSave: true, LibvirtQemudPart: false } as const;
const magicLength = 16;
const headerLength = 92;
/** By number: how the stream behind it is compressed. */
const formats = ["raw", "gzip", "bzip2", "xz", "lzop", "zstd", "sparse"] as const;
/** What the stream can be read through without a decompressor: sparse is mapped-ram. */
const readable: ReadonlySet<string> = new Set(["raw", "sparse"]);

/** undefined where there is none. Throws Incomplete, PROTOCOL. */
export function readLibvirt(cursor: Cursor): Omit<Libvirt, "offset" | "length"> | undefined {
  if (cursor.peek() !== "L".charCodeAt(0)) return undefined;
  const { offset } = cursor;
  cursor.require(headerLength);
  const header = cursor.copy(headerLength);
  const magic = Buffer.from(header.subarray(0, magicLength)).toString("latin1");
  const isComplete = magics[magic as keyof typeof magics];
  if (isComplete === undefined)
    throw malformed({ offset, expected: "libvirt's header, or QEMU's", found: `"${magic}"` });
  // In the byte order of who saved it.
  const view = new DataView(header.buffer);
  const isLittle = view.getUint32(16, true) <= 0xffff;
  const [version = 0, length = 0, wasRunning = 0, format = 0] = [16, 20, 24, 28].map((at) =>
    view.getUint32(at, isLittle),
  );
  if (length > limits.libvirt)
    throw malformed({ offset, expected: "a domain's XML", found: `${length} bytes` });
  const data = cursor.copy(length);
  const formatName = formats[format] ?? `number ${format}`;
  if (!readable.has(formatName))
    throw malformed({
      offset: offset + 28,
      expected: "a stream that is not compressed",
      found: formatName,
      hint: `decompress what is behind the first ${headerLength + length} bytes`,
    });
  return {
    type: "libvirt",
    version,
    isComplete,
    wasRunning: wasRunning !== 0,
    format: formatName,
    header,
    data,
  };
}
