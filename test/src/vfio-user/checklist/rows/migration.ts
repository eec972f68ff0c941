/** test_migration.py */
import { expect } from "vitest";
import { joinBytes } from "../../../../../src/vfio/record.ts";
import { text, u16, u32, u64 } from "../raw-client.ts";
import { command, fine, type Row, type Step, step } from "../row.ts";
import type { Setup } from "../setups.ts";

const get = 1 << 16;
const set = 1 << 17;
const probe = 1 << 18;
const migrationFeature = 1;
const stateFeature = 2;
const reportFeature = 8;

/** By number; those of peers are not known to such a device. */
const names = [
  "ERROR",
  "STOP",
  "RUNNING",
  "STOP_COPY",
  "RESUMING",
  "RUNNING_P2P",
  "PRE_COPY",
  "PRE_COPY_P2P",
];
const S = 1;
const R = 2;
const SC = 3;
const RS = 4;
const PC = 6;

/** The states on the way, by where it is and where it is to be; undefined: it is refused. */
const paths: Readonly<Record<number, Readonly<Record<number, readonly number[] | undefined>>>> = {
  [S]: { [S]: [], [R]: [R], [SC]: [SC], [RS]: [RS], [PC]: [R, PC] },
  [R]: { [S]: [S], [R]: [], [SC]: [S, SC], [RS]: [S, RS], [PC]: [PC] },
  [SC]: { [S]: [S], [R]: [S, R], [SC]: [], [RS]: [S, RS], [PC]: undefined },
  [RS]: { [S]: [S], [R]: [S, R], [SC]: [S, SC], [RS]: [], [PC]: [S, R, PC] },
  [PC]: { [S]: [R, S], [R]: [R], [SC]: [SC], [RS]: [R, S, RS], [PC]: [] },
};

/** As small as in those tests. */
const dataSizeMax = 4;
const version = joinBytes(
  u16(0, 1),
  text(`{"capabilities":{"max_data_xfer_size":${dataSizeMax}}}\0`),
);

const row = (of: string, ...steps: Row["steps"]): Row => ({
  of: `test_migration.${of}`,
  setup: "migratable",
  version,
  steps,
});

const feature = (argsz: number, flags: number, data: Uint8Array, expected: Step["expect"]) =>
  step(command.feature, [u32(argsz, flags), data], expected);
const nothing = new Uint8Array(0);

function setState(state: number, expected: Step["expect"] = fine): Step {
  return feature(16, stateFeature | set, u32(state, 0), expected);
}

const failing = (errno: number) => (setup: Setup) => {
  setup.errno = errno;
};
const giving =
  (...data: number[]) =>
  (setup: Setup) => {
    setup.data = Uint8Array.from(data);
  };

const readData = (size: number, expected: Step["expect"]) =>
  step(command.dataRead, u32(8 + size, size), expected);
const writeData = (bytes: readonly number[], expected: Step["expect"]) =>
  step(command.dataWrite, [u32(8 + bytes.length, bytes.length), Uint8Array.from(bytes)], expected);
const dataOf = (...bytes: number[]) =>
  joinBytes(u32(8 + bytes.length, bytes.length), Uint8Array.from(bytes));

/** From RUNNING to the one, and from there to the other. */
function walk(from: number, to: number): Row["steps"] {
  const path = paths[from]?.[to];
  return [
    setState(from, paths[from] === undefined ? "EINVAL" : fine),
    (setup) => setup.path.splice(0),
    setState(
      to,
      path === undefined && paths[from] !== undefined ? "EINVAL" : to in paths ? fine : "EINVAL",
    ),
    ...(path === undefined
      ? []
      : [({ path: taken }: Setup) => expect(taken).toEqual(path.map((each) => names[each]))]),
  ];
}

const all = names.map((_, state) => state);

export const migrationRows: readonly Row[] = [
  ...all.flatMap((from) =>
    all.map((to) => row("test_migration_shortest_state_transition_paths", ...walk(from, to))),
  ),
  row("test_migration_stop_copy_to_pre_copy_rejected", setState(SC), setState(PC, "EINVAL")),
  row("test_migration_nonexistent_state", setState(0xabcd, "EINVAL"), setState(8, "EINVAL")),
  row(
    "test_migration_failed_callback",
    setState(SC),
    failing(0xbeef),
    setState(R, "errno 48879"),
    failing(0),
    setState(R),
  ),
  row(
    "test_migration_get_state",
    feature(
      16,
      stateFeature | get,
      nothing,
      joinBytes(u32(16, stateFeature | get, R), u32(0xffff_ffff)),
    ),
  ),
  row(
    "test_handle_mig_data_read",
    giving(0, 1, 2, 3),
    ...[S, R, SC, RS, S, PC].flatMap((state) => [
      setState(state),
      readData(4, state === SC || state === PC ? dataOf(0, 1, 2, 3) : "EINVAL"),
    ]),
  ),
  row(
    "test_handle_mig_data_read_too_long",
    setState(PC),
    giving(0, 1, 2, 3, 4),
    readData(5, "EINVAL"),
  ),
  row(
    "test_handle_mig_data_read_failed_callback",
    setState(PC),
    failing(0xbeef),
    readData(4, "errno 48879"),
  ),
  row(
    "test_handle_mig_data_read_short_write",
    setState(PC),
    step(command.dataRead, u32(12, 4).subarray(0, 7), "EINVAL"),
  ),
  row("test_handle_mig_data_write", setState(RS), writeData([1, 2, 3, 4], nothing), ({ data }) =>
    expect([...data]).toEqual([1, 2, 3, 4]),
  ),
  row("test_handle_mig_data_write_invalid_state", writeData([1, 2, 3, 4], "EINVAL")),
  row("test_handle_mig_data_write_too_long", setState(RS), writeData([0, 1, 2, 3, 4], "EINVAL")),
  row(
    "test_handle_mig_data_write_failed_callback",
    setState(RS),
    failing(0xbeef),
    writeData([1, 2, 3, 4], "errno 48879"),
  ),
  row(
    "test_handle_mig_data_write_short_write",
    setState(RS),
    step(command.dataWrite, u32(12, 4), "EINVAL"),
  ),
  row(
    "test_device_feature_migration_get",
    feature(
      16,
      migrationFeature | get,
      nothing,
      joinBytes(u32(16, migrationFeature | get), u64(5)),
    ),
  ),
  row(
    "test_device_feature_short_write",
    step(command.feature, u32(16, migrationFeature | get).subarray(0, 7), "EINVAL"),
  ),
  row(
    "test_device_feature_unsupported_operation",
    feature(16, migrationFeature | set, nothing, "EINVAL"),
  ),
  row(
    "test_device_feature_bad_argsz_probe",
    feature(2, migrationFeature | probe, nothing, "EINVAL"),
  ),
  row(
    "test_device_feature_bad_argsz_get_migration",
    feature(8, migrationFeature | get, nothing, "EINVAL"),
  ),
  row(
    "test_device_feature_bad_argsz_get_dma",
    feature(8 + 24 + 7, reportFeature | get, u64(0x10000, 0x20000, 4096), "EINVAL"),
  ),
  row("test_device_feature_bad_argsz_set", feature(8, stateFeature | set, u32(R, 0), "EINVAL")),
  row(
    "test_device_feature_probe",
    feature(8, migrationFeature | probe, nothing, u32(8, migrationFeature | probe)),
    feature(8, migrationFeature | probe | set | get, nothing, "EINVAL"),
    feature(8, stateFeature | probe | set | get, nothing, u32(8, stateFeature | probe | set | get)),
  ),
];
