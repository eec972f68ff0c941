/** test_device_set_irqs.py and test_irq_trigger.py */
import { expect } from "vitest";
import { joinBytes } from "../../../../../src/vfio/record.ts";
import { u32 } from "../raw-client.ts";
import { command, fine, type Row, type Step, step } from "../row.ts";
import type { Setup } from "../setups.ts";

const none = 1;
const bool = 2;
const eventfd = 4;
const mask = 8;
const unmask = 16;
const trigger = 32;
const msix = 2;
const error = 3;
const request = 4;

interface Set {
  readonly flags: number;
  readonly index?: number;
  readonly start?: number;
  readonly count?: number;
  readonly argsz?: number;
  readonly bools?: readonly number[];
  readonly eventFds?: readonly number[];
}

function set(
  { flags, index = msix, start = 0, count = 0, bools = [], ...more }: Set,
  expected: Step["expect"],
): Step {
  const { argsz = 20 + bools.length, eventFds = [] } = more;
  const payload = joinBytes(u32(argsz, flags, index, start, count), Uint8Array.from(bools));
  return step(command.setIrqs, payload, expected, { eventFds });
}

const row = (of: string, ...steps: Row["steps"]): Row => ({
  of: `test_device_set_irqs.${of}`,
  setup: "migratable",
  steps,
});

/** Those that are wrong in one thing. */
const wrong: Record<string, Set> = {
  test_device_set_irqs_bad_argsz: { argsz: 3, flags: trigger | none, index: request },
  test_device_set_irqs_bad_index: { flags: trigger | none, index: 5 },
  test_device_set_irqs_bad_flags_MASK_and_UNMASK: { flags: mask | unmask },
  test_device_set_irqs_bad_flags_DATA_NONE_and_DATA_BOOL: { flags: mask | none | bool },
  test_device_set_irqs_bad_start_count_range: { flags: mask | none, start: 2047, count: 2 },
  test_device_set_irqs_bad_start_count_range2: { flags: mask | none, start: 2049, count: 1 },
  test_device_set_irqs_bad_start_count_range3: {
    flags: trigger | eventfd,
    start: 284,
    count: 0xffff_ffff,
  },
  test_device_set_irqs_bad_action_for_err_irq: { flags: mask | none, index: error, count: 1 },
  test_device_set_irqs_bad_action_for_req_irq: { flags: mask | none, index: request, count: 1 },
  test_device_set_irqs_bad_start_count_range_for_err_irq: {
    flags: trigger | none,
    index: error,
    count: 2,
  },
  test_device_set_irqs_bad_start_count_range_for_req_irq: {
    flags: trigger | none,
    index: request,
    count: 2,
  },
  test_device_set_irqs_bad_start_for_count_0: { flags: mask | none, start: 1 },
  test_device_set_irqs_bad_action_for_count_0: { flags: mask | none },
  test_device_set_irqs_bad_action_and_data_type_for_count_0: { flags: trigger | bool },
  test_device_set_irqs_bad_fds_for_DATA_BOOL: {
    flags: trigger | bool,
    count: 1,
    bools: [0],
    eventFds: [0],
  },
  test_device_set_irqs_bad_fds_for_DATA_NONE: { flags: trigger | none, count: 1, eventFds: [0] },
  test_device_set_irqs_bad_fds_for_count_2: { flags: trigger | eventfd, count: 2, eventFds: [0] },
  test_device_set_irqs_trigger_bool_too_small: { flags: trigger | bool, count: 2, bools: [0] },
  test_device_set_irqs_trigger_bool_too_large: {
    flags: trigger | bool,
    count: 2,
    bools: [0, 0, 0],
  },
};

const listen = (start: number, eventFds: readonly number[]): Step =>
  set({ flags: trigger | eventfd, start, count: eventFds.length, eventFds }, fine);

/** What the client's eventfds have in the end. */
const counted =
  (...expected: number[]) =>
  (_: Setup, counts: () => readonly number[]) =>
    expect(counts()).toEqual(expected);

export const irqRows: readonly Row[] = [
  row("test_device_set_irqs_no_irq_set", step(command.setIrqs, [], "EINVAL")),
  row("test_device_set_irqs_short_write", step(command.setIrqs, u32(0, 0), "EINVAL")),
  ...Object.entries(wrong).map(([of, what]) => row(of, set(what, "EINVAL"))),
  row(
    "test_device_set_irqs_disable",
    set({ flags: trigger | none, index: request }, fine),
    set({ flags: trigger | eventfd, index: request, count: 1 }, fine),
  ),
  row("test_device_set_irqs_enable", listen(0, [0])),
  row(
    "test_device_set_irqs_enable_update",
    listen(0, [0]),
    listen(0, [0]),
    set({ flags: trigger | none, count: 1 }, fine),
    counted(0, 1),
  ),
  row(
    "test_device_set_irqs_enable_trigger_none",
    listen(0, [4, 8]),
    set({ flags: trigger | none, start: 1, count: 1 }, fine),
    counted(4, 9),
  ),
  row(
    "test_device_set_irqs_enable_trigger_bool",
    listen(0, [4, 8]),
    set({ flags: trigger | bool, count: 2, bools: [0, 1] }, fine),
    counted(4, 9),
  ),
  row("test_irq_state", set({ flags: mask | none, count: 1 }, fine), ({ path }) =>
    expect(path).toEqual(["mask 2.0+1 true"]),
  ),
  {
    of: "test_irq_trigger.test_irq_trigger_no_interrupt",
    setup: "migratable",
    steps: [({ device }) => expect(device.bus.trigger(msix, 0)).toBe(false)],
    differs: "nobody listening is no error, but told",
  },
  {
    of: "test_irq_trigger.test_irq_trigger",
    setup: "migratable",
    steps: [
      listen(8, [4]),
      ({ device }) => expect(device.bus.trigger(msix, 8)).toBe(true),
      counted(5),
    ],
  },
];
