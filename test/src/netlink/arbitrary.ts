/** Messages and attributes at random, and bytes that are nearly some. */
import fc from "fast-check";
import { encodeAttributes, encodeMessage } from "../../../src/netlink/message.ts";

export const arbitraryAttribute = fc.record({
  type: fc.nat(0x3fff),
  value: fc.uint8Array({ maxLength: 40 }),
});

export const arbitraryMessage = fc.record({
  type: fc.nat(0xffff),
  flags: fc.nat(0xffff),
  sequence: fc.nat(0xffff_ffff),
  port: fc.nat(0xffff_ffff),
  payload: fc.uint8Array({ maxLength: 60 }),
});

const whole = fc.oneof(
  arbitraryMessage.map(encodeMessage),
  fc.array(arbitraryAttribute, { maxLength: 4 }).map(encodeAttributes),
);

/** Anything; or something whole, in which one byte is another and some are missing. */
export const arbitraryBytes = fc.oneof(
  fc.uint8Array({ maxLength: 100 }),
  fc.tuple(whole, fc.nat(), fc.nat(255), fc.nat(20)).map(([bytes, at, value, missing]) => {
    const changed = bytes.slice(0, Math.max(0, bytes.length - missing));
    if (changed.length > 0) changed[at % changed.length] = value;
    return changed;
  }),
);
