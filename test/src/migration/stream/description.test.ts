/** Descriptions: what they say, and those that say nothing. */
import { expect, test } from "vitest";
import { deviceOf, parseDescription } from "../../../../src/migration/stream/description.ts";

function parse(text: string) {
  return parseDescription(new TextEncoder().encode(text));
}

test("what QEMU writes", () => {
  const device = { name: "cpu", instance_id: 1, vmsd_name: "cpu", version: 12, fields: [] };
  const text = JSON.stringify({
    configuration: { vmsd_name: "c" },
    page_size: 4096,
    devices: [device],
  });
  const description = parse(text);
  if (typeof description === "string") throw new Error(description);
  expect(description).toMatchObject({ page_size: 4096, devices: [device] });
  expect(deviceOf(description, "cpu", 1)).toMatchObject(device);
  expect(deviceOf(description, "cpu", 0)).toBeUndefined();
});

test.each([
  ["nothing", ""],
  ["half of it", '{"devices":['],
  ["no devices", "{}"],
  ["a device without a name", '{"devices":[{"instance_id":0}]}'],
  ["a field of less than nothing", device('{"name":"a","type":"b","size":-1}')],
  ["half an element", device('{"name":"a","type":"b","size":1,"array_len":0.5}')],
  ["a long word", `{"devices":${"x".repeat(100_000)}}`],
  ["structures so deep that no stack is enough", device(nested(100_000))],
  ["very many objects", `{"devices":[${"{},".repeat(600_000)}{}]}`],
])("%s says nothing", (_, text) => {
  const begin = performance.now();
  expect(parse(text)).toEqual(expect.stringMatching(/^.{1,200}$/));
  expect(performance.now() - begin).toBeLessThan(15_000);
});

test("values that nobody reads may be as deep as they like", () => {
  const deep = `${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}`;
  expect(parse(`{"devices":[],"other":${deep}}`)).toBeTypeOf("object");
});

function device(field: string): string {
  return `{"devices":[{"name":"a","instance_id":0,"fields":[${field}]}]}`;
}

function nested(depth: number): string {
  const begin = '{"name":"a","type":"struct","size":0,"struct":{"fields":[';
  return `${begin.repeat(depth)}${"]}}".repeat(depth)}`;
}
