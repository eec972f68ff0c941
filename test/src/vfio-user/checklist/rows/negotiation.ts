/** test_negotiate.py */
import { expect } from "vitest";
import { text, u16 } from "../raw-client.ts";
import { command, fine, type Row, type Step, step } from "../row.ts";

const version = u16(0, 1);

function first(of: string, each: Step, more: Partial<Row> = {}): Row {
  const isRefused = typeof each.expect === "string";
  return {
    of: `test_negotiate.${of}`,
    setup: "migratable",
    version: null,
    steps: [each],
    closes: isRefused,
    ...more,
  };
}

const withJson = (json: string, expected: Step["expect"]) =>
  step(command.version, [version, text(`${json}\0`)], expected);

const badJson: Record<string, string> = {
  test_invalid_json_missing_closing_brace: "{",
  test_invalid_json_missing_closing_quote: '"',
  test_invalid_json_bad_capabilities_object: '{"capabilities": "23"}',
  test_invalid_json_bad_max_fds: '{"capabilities": {"max_msg_fds": "foo"}}',
  test_invalid_json_bad_max_fds2: '{"capabilities": {"max_msg_fds": -1}}',
  test_invalid_json_bad_max_fds3: '{"capabilities": {"max_msg_fds": 1025}}',
  test_invalid_json_bad_migration_object: '{"capabilities": {"migration": "23"}}',
  test_invalid_json_bad_pgsize: '{"capabilities": {"migration": {"pgsize": "foo"}}}',
  test_invalid_json_bad_pgsize2: '{"capabilities": {"migration": {"pgsize": 4095}}}',
};

function checkOwn({ payload }: { readonly payload: Uint8Array }): void {
  expect([...payload.subarray(0, 4)]).toEqual([0, 0, 1, 0]);
  expect(payload.at(-1)).toBe(0);
  const { capabilities } = JSON.parse(new TextDecoder().decode(payload.subarray(4, -1)));
  expect(capabilities).toMatchObject({
    max_msg_fds: 8,
    max_data_xfer_size: 1 << 20,
    migration: { pgsize: 4096 },
  });
}

export const negotiationRows: readonly Row[] = [
  first("test_short_write", step(command.version, [], "EINVAL")),
  first(
    "test_long_write",
    step(command.version, [], "EINVAL", { header: { size: (1 << 20) + 1000 } }),
    {
      differs: "libvfio-user closes without a word",
    },
  ),
  first("test_bad_command", step(999, [version, u16(0)], "EINVAL")),
  first("test_invalid_major", step(command.version, [u16(999, 1)], "EINVAL")),
  first("test_invalid_json_missing_NUL", step(command.version, [version, text("{}")], "EINVAL")),
  ...Object.entries(badJson).map(([of, json]) => first(of, withJson(json, "EINVAL"))),
  first("test_valid_negotiate_no_json", step(command.version, version, fine, { check: checkOwn })),
  first("test_valid_negotiate_empty_json", withJson("{}", fine)),
  first(
    "test_valid_negotiate_json",
    withJson('{"capabilities": {"max_msg_fds": 1024, "max_data_xfer_size": 1048576}}', fine),
  ),
];
