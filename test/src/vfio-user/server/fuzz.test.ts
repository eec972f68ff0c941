/** Clients that send anything: each message is answered, and the server is there for the next one. */
import { closeSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { library } from "../../../../ffi/library.ts";
import { Refusal } from "../../../../src/vfio-user/refusal.ts";
import { Session } from "../../../../src/vfio-user/server/session.ts";
import { openDescriptors, openedSince } from "../../../support/descriptors.ts";
import { RawClient, u16 } from "../checklist/raw-client.ts";
import { command } from "../checklist/row.ts";
import { dmaRows } from "../checklist/rows/dma.ts";
import { infoRows } from "../checklist/rows/info.ts";
import { irqRows } from "../checklist/rows/irqs.ts";
import { migrationRows } from "../checklist/rows/migration.ts";
import { regionRows } from "../checklist/rows/regions.ts";
import { type SetupName, setups } from "../checklist/setups.ts";
import { busDevice } from "./bus-device.ts";
import { attach, eventFd, memoryFile } from "./client.ts";

/** Messages that are nearly right: each field of 4 bytes may be any number. */
const known = [...infoRows, ...irqRows, ...regionRows, ...dmaRows, ...migrationRows]
  .filter(({ of }) => of !== "test_dma_map.test_dma_region_too_many")
  .flatMap(({ steps }) => steps)
  .flatMap((each) => (typeof each === "function" ? [] : [each]));
const number = fc.oneof(
  fc.nat(64),
  fc.constantFrom(4096, 0x10000, 0x7fff_ffff, 0xffff_ffff),
  fc.integer(),
);
const changed = fc
  .record({
    step: fc.constantFrom(...known),
    changes: fc.array(fc.tuple(fc.nat(12), number), { maxLength: 2 }),
    cut: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(20) }),
    descriptors: fc.constantFrom("", "", "e", "f", "ef", "ee"),
  })
  .map(({ step, changes, cut, descriptors }) => {
    const payload = (step.payload ?? new Uint8Array(0)).slice();
    const view = new DataView(payload.buffer);
    for (const [at, value] of changes)
      if (at * 4 + 4 <= payload.length) view.setInt32(at * 4, value, true);
    return {
      command: step.command,
      payload: payload.subarray(0, Math.max(payload.length - cut, 0)),
      descriptors,
    };
  });
const anything = fc.record({
  command: fc.integer({ min: 0, max: 20 }),
  payload: fc.uint8Array({ maxLength: 80 }),
  descriptors: fc.constant(""),
});

test.each(["migratable", "mappable", "bars"] as const)(
  "a device that is %s",
  async (name: SetupName) => {
    // What all connections, and all signals, share is open then.
    await (await attach(busDevice())).close();
    const event = eventFd();
    library().zc_event_signal(event.fd);
    event.close();
    const before = openDescriptors();
    const messages = fc.array(fc.oneof({ weight: 5, arbitrary: changed }, anything), {
      maxLength: 60,
    });
    const unexpected: unknown[] = [];
    const onRefusal = (_: number, error: unknown) => {
      if (!(error instanceof Refusal)) unexpected.push(error);
    };
    await fc.assert(
      fc.asyncProperty(messages, async (all) => {
        const setup = setups[name]();
        const client = new RawClient();
        const session = new Session(client.far, setup.device, { onRefusal });
        client.send(command.version, u16(0, 1));
        await client.receive();
        for (const { command: sent, payload, descriptors } of all) {
          const fds = [...descriptors].map((kind) =>
            kind === "e" ? eventFd().fd : memoryFile(8192),
          );
          client.send(sent, payload, fds);
          const reply = await client.receive();
          expect(reply?.command).toBe(sent);
          for (const fd of [...fds, ...(reply?.fds ?? [])]) closeSync(fd);
        }
        await Promise.all([client.close(), session.ended]);
        setup.close();
        expect(setup.device.events.slice(-2)).toEqual(["reset disconnected", "detached"]);
        expect(unexpected).toEqual([]);
        await expect.poll(() => openedSince(before)).toEqual([]);
      }),
      { numRuns: 100 },
    );
  },
);
