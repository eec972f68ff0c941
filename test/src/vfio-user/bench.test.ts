import { expect, onTestFinished, test } from "vitest";
import { benchMigration, benchReads } from "../../../src/vfio-user/bench.ts";
import { startClient } from "../../../src/vfio-user/client.ts";
import { encodeRegionData } from "../../../src/vfio-user/protocol/region.ts";
import { Session } from "../../../src/vfio-user/server/session.ts";
import { type Scripted, scripted } from "./client/scripted-server.ts";
import { socketPair } from "./pair.ts";

const reads = { region: 7, offset: 0n, size: 4, depth: 1, durationMs: 10, replyTimeoutMs: 50 };

/** It answers one read, and then does something else. */
async function once(then: (server: Scripted) => Promise<never>): Promise<Scripted> {
  let isFirst = true;
  const made: Scripted = await scripted({
    REGION_READ: () => {
      if (!isFirst) return then(made);
      isFirst = false;
      const data = new Uint8Array(reads.size);
      return { payload: encodeRegionData({ region: 7, offset: 0n, data }) };
    },
  });
  return made;
}

const never = new Promise<never>(() => {});

test("a server that falls silent is TIMEOUT", async () => {
  const { client } = await once(() => never);
  await expect(benchReads(client, reads)).rejects.toMatchObject({
    code: "TIMEOUT",
    message: expect.stringContaining("no reply within 50 ms"),
  });
});

test("a server that goes away is PEER_RESET", async () => {
  const { client } = await once(({ server }) => {
    server[Symbol.dispose]();
    return never;
  });
  const asLongAsItTakes = { ...reads, replyTimeoutMs: 60_000 };
  await expect(benchReads(client, asLongAsItTakes)).rejects.toMatchObject({ code: "PEER_RESET" });
});

test("a device that gives no migration data is TIMEOUT", async () => {
  const states: string[] = [];
  const rest = Promise.withResolvers<Uint8Array>();
  const [near, far] = socketPair();
  const migration = {
    features: { stopCopy: true, p2p: false, preCopy: false },
    setState: (to: string) => void states.push(to),
    read: () => rest.promise,
    write: () => {},
  };
  const session = new Session(far, { name: "test", isPci: false, regions: {}, migration });
  const client = await startClient(near, { timeoutMs: 1000 });
  onTestFinished(async () => {
    rest.resolve(new Uint8Array(0));
    await client[Symbol.asyncDispose]();
    await session.ended;
  });
  await expect(benchMigration(client, 50)).rejects.toMatchObject({
    code: "TIMEOUT",
    message: expect.stringContaining("migration data of"),
  });
  expect(states).toContain("STOP_COPY");
});
