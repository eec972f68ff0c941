import { existsSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parseAddress } from "../../../src/address/index.ts";
import { send } from "../../../src/transfer/send.ts";
import { openSink, openStateSource } from "../../../src/vfio/ends.ts";
import { KernelData } from "../../../src/vfio/kernel/data.ts";
import { scratch } from "../../support/scratch.ts";

let folder: ReturnType<typeof scratch>;
beforeEach(() => {
  folder = scratch();
  writeFileSync(folder.file("state"), "its state");
});
afterEach(() => folder[Symbol.dispose]());

describe("a peer that sends a state", () => {
  /** The source, all of which a device took, and how its sender ends. */
  async function takeAll() {
    const { promise: listening, resolve } = Promise.withResolvers<string>();
    const opening = openStateSource("127.0.0.1:0", (address) => ({
      ...{ address, onListening: resolve },
    }));
    const address = parseAddress(await listening);
    const sent = send({ address, file: folder.file("state") }).then(
      ({ end }) => end,
      (error) => error.code,
    );
    const source = await opening;
    const device = { name: "it", state: async () => "RESUMING" as const };
    await using data = new KernelData(openSync(folder.file("taken"), "w"), device);
    await data.moveFrom(source.end);
    return { source, sent };
  }

  test("sees an end once the device has it", async () => {
    const { source, sent } = await takeAll();
    source.finish();
    source[Symbol.dispose]();
    expect(await sent).toBe("closed");
    expect(readFileSync(folder.file("taken"), "utf8")).toBe("its state");
  });

  test("sees a reset when the device does not take it", async () => {
    const { source, sent } = await takeAll();
    source[Symbol.dispose]();
    expect(await sent).toBe("PEER_RESET");
  });
});

describe("a file that a state goes to", () => {
  async function open() {
    const sink = await openSink(folder.file("saved"), (address) => ({ address }), {});
    writeSync(sink.end.fd, "its state");
    return sink;
  }

  test("has its name when all is in it", async () => {
    using sink = await open();
    expect(existsSync(folder.file("saved"))).toBe(false);
    await sink.finish(undefined);
    expect(readFileSync(folder.file("saved"), "utf8")).toBe("its state");
  });

  test("leaves nothing where it is not", async () => {
    const sink = await open();
    sink[Symbol.dispose]();
    expect(readdirSync(folder.path)).toEqual(["state"]);
  });
});
