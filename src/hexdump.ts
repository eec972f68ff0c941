/** Bytes as lines: where, sixteen of them in hexadecimal, and what of them is text. Pure. */

const perLine = 16;

/** `offset` is that of the first byte. */
export function hexdump(bytes: Uint8Array, offset = 0n): string[] {
  const lines = Math.ceil(bytes.length / perLine);
  return Array.from({ length: lines }, (_, index) => {
    const part = bytes.subarray(index * perLine, (index + 1) * perLine);
    const where = (offset + BigInt(index * perLine)).toString(16).padStart(8, "0");
    return `${where}  ${hexColumns(part).padEnd(perLine * 3)} |${textOf(part)}|`;
  });
}

/** "00 01 02", with a wider gap in the middle of a line. */
function hexColumns(part: Uint8Array): string {
  const half = perLine / 2;
  const pairs = Array.from(part, (byte) => byte.toString(16).padStart(2, "0"));
  const halves = [pairs.slice(0, half), pairs.slice(half)];
  return halves
    .map((each) => each.join(" "))
    .join("  ")
    .trimEnd();
}

/** Of ASCII, what has a shape. */
function textOf(part: Uint8Array): string {
  const isShown = (byte: number) => byte >= 0x20 && byte < 0x7f;
  return Array.from(part, (byte) => (isShown(byte) ? String.fromCharCode(byte) : ".")).join("");
}
