/** Checksums as text: "xxh3:0123456789abcdef". */
import { printable, usageError } from "./errors.ts";

/** Bytes of each algorithm's value. */
const sizes = { xxh3: 8, sha256: 32 } as const;

export type ChecksumAlgorithm = keyof typeof sizes;

export interface Checksum {
  readonly algorithm: ChecksumAlgorithm;
  /** Lower case. */
  readonly hex: string;
}

/** What `--expect` is given. Throws USAGE. */
export function parseExpected(text: string): Checksum {
  const [, algorithm = "", hex] = /^([^:]*):(.*)$/s.exec(text.toLowerCase()) ?? [];
  const wrong = (reason: string) => usageError("--expect", reason, `for example ${example}`);
  if (hex === undefined) throw wrong(`"${printable(text)}" is not ALGORITHM:HEX`);
  if (!isAlgorithm(algorithm)) {
    throw wrong(`"${printable(algorithm)}" is none of ${Object.keys(sizes).join(", ")}`);
  }
  const digits = 2 * sizes[algorithm];
  if (hex.length !== digits || !/^[0-9a-f]*$/.test(hex)) {
    throw wrong(`${algorithm} has ${digits} hexadecimal digits, not "${printable(hex)}"`);
  }
  return { algorithm, hex };
}

/** `bytes` are the value, most significant first. */
export function formatChecksum(algorithm: ChecksumAlgorithm, bytes: Uint8Array): string {
  return `${algorithm}:${bytes.toHex()}`;
}

const example = "xxh3:2d06800538d394c2";

function isAlgorithm(text: string): text is ChecksumAlgorithm {
  return Object.hasOwn(sizes, text);
}
