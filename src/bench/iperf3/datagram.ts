/**
 * UDP datagrams of a test. Each begins with the time at which it was sent and its number, counted
 * from 1; the rest is any bytes. All have the block size that was agreed on: shorter ones are
 * misread by iperf3's receivers.
 */
import { malformed } from "./malformed.ts";

export interface DatagramHeader {
  /** By any clock that does not jump; only differences count. */
  readonly seconds: number;
  readonly microseconds: number;
  /** Narrow: modulo 2^32. */
  readonly number: number;
}

/** Bytes; `isWide` where the parameters ask for 64-bit numbers. */
export function headerSize(isWide: boolean): number {
  return isWide ? 16 : 12;
}

export function encodeHeader(header: DatagramHeader, isWide: boolean): Uint8Array {
  const bytes = new Uint8Array(headerSize(isWide));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, header.seconds);
  view.setUint32(4, header.microseconds);
  if (isWide) view.setBigUint64(8, BigInt(header.number));
  else view.setUint32(8, header.number);
  return bytes;
}

/** Of a datagram. Throws PROTOCOL. */
export function parseHeader(datagram: Uint8Array, isWide: boolean): DatagramHeader {
  const size = headerSize(isWide);
  if (datagram.length < size) {
    throw malformed("datagram", `${size} bytes or more`, `${datagram.length}`);
  }
  const view = new DataView(datagram.buffer, datagram.byteOffset, size);
  const number = isWide ? Number(view.getBigUint64(8)) : view.getUint32(8);
  if (number > Number.MAX_SAFE_INTEGER) {
    throw malformed("datagram", `a number up to ${Number.MAX_SAFE_INTEGER}`, `${number}`);
  }
  return { seconds: view.getUint32(0), microseconds: view.getUint32(4), number };
}

/**
 * The datagram that opens a stream, and the server's answer. A big-endian machine with 3.12 to
 * 3.16 has them the other way round.
 */
export const hello = Uint8Array.from(Buffer.from("9876"));
export const helloReply = Uint8Array.from(Buffer.from("6789"));

/** 123456789 and 987654321 in the machine's byte order: up to 3.11, whose clients take any answer. */
const oldHellos = ["15cd5b07", "075bcd15"];
const oldReplies = ["b168de3a", "3ade68b1"];
const hellos = new Set([hello.toHex(), helloReply.toHex(), ...oldHellos]);
const replies = new Set([helloReply.toHex(), hello.toHex(), ...oldReplies]);

export function isHello(datagram: Uint8Array): boolean {
  return datagram.length === hello.length && hellos.has(datagram.toHex());
}

export function isHelloReply(datagram: Uint8Array): boolean {
  return datagram.length === hello.length && replies.has(datagram.toHex());
}
