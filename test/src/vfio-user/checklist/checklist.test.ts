/**
 * The cases of libvfio-user's own tests (test/py, at efd091b), against our server: what each sends, and
 * what it expects. Functions that test its C interface are named with the reason why they are not here.
 */
import { closeSync } from "node:fs";
import { expect, test } from "vitest";
import { library } from "../../../../ffi/library.ts";
import { Session } from "../../../../src/vfio-user/server/session.ts";
import { eventFd, memoryFile } from "../server/client.ts";
import { notApplicable } from "./not-applicable.ts";
import { RawClient, text, u16 } from "./raw-client.ts";
import { command, fine, type Step } from "./row.ts";
import { dmaRows } from "./rows/dma.ts";
import { infoRows } from "./rows/info.ts";
import { irqRows } from "./rows/irqs.ts";
import { migrationRows } from "./rows/migration.ts";
import { negotiationRows } from "./rows/negotiation.ts";
import { regionRows } from "./rows/regions.ts";
import { requestRows } from "./rows/requests.ts";
import { type Setup, setups } from "./setups.ts";

const rows = [
  ...negotiationRows,
  ...requestRows,
  ...infoRows,
  ...irqRows,
  ...regionRows,
  ...dmaRows,
  ...migrationRows,
];

/** Functions whose names begin with test_, in all files of test/py. */
const functions = 224;

const usualVersion = Buffer.concat([u16(0, 1), text('{"capabilities":{"max_msg_fds":8}}\0')]);

test("every function is here, or is named with a reason", () => {
  const names = new Set([...rows.map(({ of }) => of), ...Object.keys(notApplicable)]);
  for (const { of } of rows) expect(notApplicable).not.toHaveProperty([of]);
  expect(names.size).toBe(functions);
});

test.each(rows.map((row, index) => [`${row.of} (${index})`, row] as const))(
  "%s",
  async (_, row) => {
    const setup = setups[row.setup]();
    const client = new RawClient();
    const session = new Session(client.far, setup.device);
    const events: ReturnType<typeof eventFd>[] = [];
    try {
      if (row.version !== null) {
        client.send(command.version, row.version ?? usualVersion);
        expect((await client.receive())?.errno).toBeUndefined();
      }
      for (const each of row.steps) {
        if (typeof each === "function") await each(setup, () => events.map(({ count }) => count()));
        else await take(client, setup, each, events);
      }
      if (row.closes) expect(await client.receive()).toBeUndefined();
    } finally {
      await Promise.all([client.close(), session.ended]);
      setup.close();
      for (const { close } of events) close();
    }
    row.after?.(setup);
  },
);

async function take(
  client: RawClient,
  setup: Setup,
  step: Step,
  events: ReturnType<typeof eventFd>[],
): Promise<void> {
  const own = (step.eventFds ?? []).map(signalled);
  events.push(...own);
  const files = step.file === undefined ? [] : [memoryFile(step.file)];
  const fds = [...own.map(({ fd }) => fd), ...files];
  client.send(step.command, step.payload ?? new Uint8Array(0), fds, step.header);
  const reply = await client.receive();
  if (reply === undefined) throw new Error("the server has closed");
  expect(reply.command).toBe(step.command);
  if (typeof step.expect === "string") expect(reply.errno).toBe(step.expect);
  else expect(reply.errno).toBeUndefined();
  if (step.expect !== fine && typeof step.expect !== "string")
    expect(Buffer.from(reply.payload).toString("hex")).toBe(
      Buffer.from(step.expect).toString("hex"),
    );
  step.check?.(reply, setup);
  for (const fd of [...reply.fds, ...files]) closeSync(fd);
}

/** An eventfd that holds this number already. */
function signalled(value: number): ReturnType<typeof eventFd> {
  const event = eventFd();
  for (let at = 0; at < value; at++) library().zc_event_signal(event.fd);
  return event;
}
