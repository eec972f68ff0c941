/** The plan: which modes, in which order. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Ends, plan, receiveModes, sendModes } from "../../../src/transfer/plan.ts";

const kinds = ["file", "pipe", "tty", "null", "device", "block", "socket"] as const;
const ends: fc.Arbitrary<Ends> = fc.record({
  direction: fc.constantFrom("send", "receive"),
  family: fc.constantFrom("tcp", "unix", "vsock"),
  local: fc.constantFrom(...kinds),
  append: fc.boolean(),
  inspect: fc.boolean(),
});

/** Ends, and a mode of that direction. */
const asked = ends.chain((given) =>
  fc.tuple(
    fc.constant(given),
    fc.constantFrom(...(given.direction === "send" ? sendModes : receiveModes)),
  ),
);
const zerocopyModes: readonly string[] = ["msg-zerocopy", "io-uring"];

const modesOf = (given: Ends) => plan(given, "auto").map(({ mode }) => mode);

test("whatever the ends are, the last resort is to copy", () => {
  fc.assert(
    fc.property(ends, (given) => {
      expect(modesOf(given).at(-1)).toBe("copy");
    }),
  );
});

test("only modes of that direction, none twice", () => {
  fc.assert(
    fc.property(ends, (given) => {
      const allowed: readonly string[] = given.direction === "send" ? sendModes : receiveModes;
      const modes = modesOf(given);
      expect(modes.filter((mode) => !allowed.includes(mode))).toEqual([]);
      expect(new Set(modes).size).toBe(modes.length);
    }),
  );
});

test("splice never where every byte must be looked at, or where it cannot write", () => {
  fc.assert(
    fc.property(ends, (given) => {
      if (given.inspect) expect(modesOf(given)).not.toContain("splice");
      if (given.direction === "receive" && given.append) expect(modesOf(given)).toEqual(["copy"]);
    }),
  );
});

test("a mode asked for is the only step, and no other stands in", () => {
  fc.assert(
    fc.property(asked, ([given, mode]) => {
      expect(plan(given, mode)).toMatchObject([{ mode, required: zerocopyModes.includes(mode) }]);
    }),
  );
});

test.each([
  [{ direction: "send", family: "tcp", local: "file" }, ["sendfile", "copy"]],
  [{ direction: "send", family: "unix", local: "pipe" }, ["splice", "copy"]],
  [{ direction: "send", family: "vsock", local: "file" }, ["msg-zerocopy", "copy"]],
  [{ direction: "send", family: "tcp", local: "device" }, ["copy"]],
  [{ direction: "receive", family: "tcp", local: "file" }, ["copy"]],
  [{ direction: "receive", family: "tcp", local: "pipe" }, ["splice", "copy"]],
  [{ direction: "receive", family: "unix", local: "null" }, ["splice", "copy"]],
  [{ direction: "receive", family: "tcp", local: "null" }, ["discard", "copy"]],
] as const)("%j: %j", (given, modes) => {
  expect(modesOf(given)).toEqual(modes);
});

test("over vsock, msg-zerocopy may adapt its chunk, and copy instead", () => {
  const [first] = plan({ direction: "send", family: "vsock", local: "pipe" }, "auto");
  expect(first).toMatchObject({ mode: "msg-zerocopy", adapt: true, required: false });
});

test("where the kernel tells of long vsock sends too early, none is longer, whatever is asked", () => {
  fc.assert(
    fc.property(asked, fc.boolean(), ([given, mode], isAuto) => {
      for (const step of plan({ ...given, vsockSendMax: 65536 }, isAuto ? "auto" : mode)) {
        const isAffected = given.family === "vsock" && zerocopyModes.includes(step.mode);
        expect(step.chunkMax === 65536).toBe(isAffected);
      }
    }),
  );
});
