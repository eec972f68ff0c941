/** test_request_errors.py, and the ends of clients that other files have. */
import { expect } from "vitest";
import { openDescriptors, openedSince } from "../../../../support/descriptors.ts";
import { u32 } from "../raw-client.ts";
import { command, fine, type Row, step } from "../row.ts";
import type { Setup } from "../setups.ts";

const row = (of: string, steps: Row["steps"], more: Partial<Row> = {}): Row => ({
  of: `test_request_errors.${of}`,
  setup: "migratable",
  steps,
  ...more,
});

/** A trigger of one MSI-X interrupt by bools, with none. */
const boolsMissing = u32(20, 0x22, 2, 0, 1);
let before: ReadonlySet<string>;

function wasReset({ device }: Setup): void {
  expect(device.events.slice(-2)).toEqual(["reset disconnected", "detached"]);
}

export const requestRows: readonly Row[] = [
  row("test_too_small", [step(command.setIrqs, [], "EINVAL", { header: { size: 15 } })], {
    closes: true,
    differs: "libvfio-user goes on, as if the next message began behind the header",
  }),
  row(
    "test_too_large",
    [step(command.setIrqs, [], "EINVAL", { header: { size: (1 << 20) + 1000 } })],
    {
      closes: true,
      differs: "libvfio-user goes on, and takes the rest of the message for the next one",
    },
  ),
  row("test_unsolicited_reply", [
    step(command.setIrqs, [], "EINVAL", { header: { type: "reply" } }),
    step(command.reset, [], fine),
  ]),
  row("test_bad_command", [
    ...[11, 12, 14, 19, 99].map((each) => step(each, u32(0), "EINVAL")),
    step(command.reset, [], fine),
  ]),
  row("test_no_payload", [step(command.setIrqs, [], "EINVAL"), step(command.reset, [], fine)]),
  row("test_bad_request_closes_fds", [
    () => {
      before = openDescriptors();
    },
    step(command.setIrqs, boolsMissing, "EINVAL", { eventFds: [0, 0] }),
    () => expect.poll(() => openedSince(before)).toHaveLength(2),
  ]),
  row("test_disconnected_socket", [step(command.reset, [], fine)], { after: wasReset }),
  { of: "test_destroy.test_destroy_ctx", setup: "plain", steps: [], after: wasReset },
];
