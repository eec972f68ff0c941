/** A device's state as it moves. vfio-user specification, "VFIO_USER_MIG_DATA_READ" and "_WRITE". */
import { joinBytes, RecordLayout } from "../../vfio/record.ts";
import { checkArgsz, decodeStruct, Malformed } from "./malformed.ts";

const layout = new RecordLayout({ argsz: "u32", size: "u32" });

/** Of MIG_DATA_READ: asks for so many bytes. */
export function encodeMigDataRead(size: number): Uint8Array<ArrayBuffer> {
  return layout.encode({ argsz: layout.size + size, size });
}

/** How many bytes are asked for. */
export function decodeMigDataRead(payload: Uint8Array): number {
  const { argsz, size } = decodeStruct(layout, "a request of a device's data", payload);
  checkArgsz(argsz, layout.size + size);
  return size;
}

/** Of MIG_DATA_WRITE, whose reply has no payload, and of the reply to MIG_DATA_READ. */
export function encodeMigData(data: Uint8Array): Uint8Array<ArrayBuffer> {
  return joinBytes(encodeMigDataHeader(data.length), data);
}

/** Likewise, where the data of so many bytes follow. */
export function encodeMigDataHeader(size: number): Uint8Array<ArrayBuffer> {
  return layout.encode({ argsz: layout.size + size, size });
}

/**
 * Borrowed. Read: fewer than were asked for are the last. What is behind them is none: libvfio-user
 * pads its replies to the size that was asked for. The argsz is not looked at: of MIG_DATA_WRITE the
 * specification has it mean a reply's size, where there is none.
 */
export function decodeMigData(payload: Uint8Array): Uint8Array {
  const { size } = decodeStruct(layout, "a device's data", payload);
  const left = payload.length - layout.size;
  if (size > left)
    throw new Malformed({
      offset: layout.size,
      expected: `${size} bytes of data`,
      found: `${left}`,
    });
  return payload.subarray(layout.size, layout.size + size);
}
