/** zc migrate, as it is typed. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { diffSchema } from "../../../src/migration/report/diff.schema.ts";
import { elementSchema } from "../../../src/migration/report/element.schema.ts";
import { infoSchema } from "../../../src/migration/report/info.schema.ts";
import { fullPipe } from "../../support/full-pipe.ts";
import { type Scratch, scratch } from "../../support/scratch.ts";
import { start, startZc, zc } from "../../support/zc.ts";
import {
  configData,
  fields,
  makeChannel,
  makePages,
  makePostcopy,
  makeStream,
  makeVfioStream,
  memory,
  page,
  pageSize,
  statePacket,
  vfioName,
} from "./hand-made.ts";

let folder: Scratch;
let file: string;
beforeAll(() => {
  folder = scratch();
  file = folder.file("stream");
  writeFileSync(file, makeStream());
});
afterAll(() => folder[Symbol.dispose]());

async function run(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await zc(["migrate", ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout.toString();
}

async function refused(...args: readonly string[]): Promise<{ code: unknown; line: string }> {
  const { code, stdout, stderr } = await zc(["migrate", ...args]);
  expect(stdout.toString()).toBe("");
  expect(stderr.split("\n").length).toBe(2);
  return { code, line: stderr.trimEnd() };
}

test("info", async () => {
  const text = await run("info", file);
  expect(text).toMatch(/^QEMU migration stream, version 3: pc, \d/);
  expect(text).toMatch(/\n +pc\.ram +16\.0 KiB +2 +2 +1 +1 +8\.0 KiB\n/);
  expect(text).toMatch(/\npages: 6: 50 % normal, 33 % zero, 17 % xbzrle, 17 % sent again\n/);
  expect(text).toMatch(/\ndevices: 1, 33 B\n/);
});

test("info --json --contents", async () => {
  const info = infoSchema.parse(JSON.parse(await run("info", "--json", "--contents", file)));
  expect(info).toMatchObject({
    ...{ bytes: makeStream().length, version: 3, machine: "pc", footers: true },
    ram: {
      bytes: 5 * pageSize,
      pages: { normal: 3, zero: 2, xbzrle: 1, again: 1, empty: 0 },
      distinctPages: 1,
    },
  });
});

test("decode: an object a line, as the schema says", async () => {
  const lines = (await run("decode", file)).trimEnd().split("\n");
  const elements = lines.map((line) => elementSchema.parse(JSON.parse(line)));
  const types = ["header", "configuration", "start", "end", "full", "eof", "description"];
  expect(elements.map(({ type }) => type)).toEqual(types);
  expect(elements[4]).toMatchObject({ name: "timer", id: 5, version: 2, fields });
});

test("decode without a description: devices as bytes", async () => {
  const bare = folder.file("bare");
  writeFileSync(bare, makeStream({ hasDescription: false }));
  const line = await run("decode", "--device", "timer", bare);
  expect(JSON.parse(line)).toMatchObject({ name: "timer", data: "123456780102030400" });
});

test("decode --format tree --device", async () => {
  expect(await run("decode", "--format", "tree", "--device", "timer", file)).toBe(
    [
      `0x${offsetOfTimer().toString(16)} full timer id 5 instance 0 version 2 33 bytes`,
      ...["  footer: true", "  ticks: 305419896", "  bytes: 1 2 3 4", "  on: false", ""],
    ].join("\n"),
  );
});

function offsetOfTimer(): number {
  const timer = Buffer.from("\x04\0\0\0\x05\x05timer", "latin1");
  return Buffer.from(makeStream()).indexOf(timer);
}

test("decode --ram: images, sparse, with names that are no paths", async () => {
  const images = folder.file("images");
  await run("decode", "--ram", images, file);
  expect(readdirSync(images).sort()).toEqual(["%2From%40etc%2F..%2Fx", "pc.ram"]);
  expect(Buffer.compare(readFileSync(`${images}/pc.ram`), memory())).toBe(0);
  expect(statSync(`${images}/pc.ram`).blocks * 512).toBe(3 * pageSize);
  expect(Buffer.compare(readFileSync(`${images}/%2From%40etc%2F..%2Fx`), page)).toBe(0);
});

test("images of a stream that is none are not left behind", async () => {
  const [images, broken] = [folder.file("no-images"), folder.file("broken")];
  writeFileSync(broken, makeStream().subarray(0, 3 * pageSize));
  const { code, stderr } = await zc(["migrate", "decode", "--ram", images, broken]);
  expect({ code, stderr }).toEqual({
    code: 4,
    stderr: expect.stringMatching(/^zc: \[TRUNCATED\] read the stream at offset 0x3000: /),
  });
  expect(readdirSync(images)).toEqual([]);
});

test("an archive, and back; a folder that is there is refused", async () => {
  const archive = folder.file("archive");
  expect(await run("decode", "--archive", archive, file)).toBe("");
  const encoded = await zc(["migrate", "encode", archive]);
  expect(Buffer.compare(encoded.stdout, readFileSync(file))).toBe(0);
  const { code, line } = await refused("decode", "--archive", archive, file);
  expect({ code, line }).toEqual({
    code: 1,
    line: expect.stringMatching(/^zc: \[WRITE_SINK\] write \S+archive: EEXIST/),
  });
  expect(existsSync(`${archive}/elements.ndjson`)).toBe(true);
});

test("an archive of a stream that breaks off is not left behind", async () => {
  using own = scratch();
  const [archive, broken, other] = [
    own.file("archive"),
    own.file("broken"),
    own.file("archive.part"),
  ];
  writeFileSync(broken, makeStream().subarray(0, 3 * pageSize));
  writeFileSync(other, "somebody's");
  expect((await zc(["migrate", "decode", "--archive", archive, broken])).code).toBe(4);
  expect(readdirSync(own.path).sort()).toEqual(["archive.part", "broken"]);
});

test.each([
  [
    "elements.ndjson",
    '{"type":"header","version":3}\n{"type":"command"}\n',
    /elements\.ndjson, line 2: /,
  ],
  ["elements.ndjson", '{"type":"description","file":"../../x.bin"}\n', /line 1: Invalid string/],
  ["bulk.bin", "short", /\[TRUNCATED\] read \S+bulk\.bin: 5 bytes of \d+$/],
])("an archive whose %s is not what it was", async (name, text, reason) => {
  using own = scratch();
  const archive = own.file("archive");
  await run("decode", "--archive", archive, file);
  writeFileSync(`${archive}/${name}`, text);
  const again = own.file("again");
  const { code, line } = await refused("encode", archive, again);
  expect({ code, line }).toEqual({ code: 4, line: expect.stringMatching(reason) });
  expect(existsSync(again)).toBe(false);
});

test("convert: to a file and to a pipe, with each page once", async () => {
  const mapped = folder.file("mapped");
  await run("convert", "--to", "mapped-ram", file, mapped);
  expect(await run("diff", file, mapped)).toBe("no difference\n");
  const plain = await zc(["migrate", "convert", "--to", "plain", mapped]);
  const again = folder.file("plain");
  writeFileSync(again, plain.stdout);
  expect(await run("diff", file, again)).toBe("no difference\n");
  const { ram } = JSON.parse(await run("info", "--json", again));
  expect(ram.pages).toMatchObject({ normal: 4, zero: 1, xbzrle: 0, again: 0 });
});

test("diff: fields and pages, and an exit code", async () => {
  const other = folder.file("other");
  const bytes = Buffer.from(makeStream());
  bytes[offsetOfTimer() + 22] = 0xff; // of ticks
  bytes[bytes.indexOf(page) + 5] = 0xff; // of the first page
  writeFileSync(other, bytes);
  const { code, stdout } = await zc(["migrate", "diff", "--json", file, other]);
  expect(code).toBe(1);
  const diff = diffSchema.parse(JSON.parse(stdout.toString()));
  expect(diff).toEqual({
    same: false,
    blocks: [{ name: "pc.ram", pages: 4, different: 1, ranges: [{ start: 0, length: pageSize }] }],
    fields: [
      {
        device: "timer",
        instance: 0,
        field: "ticks",
        first: 0x12345678,
        second: expect.any(Number),
      },
    ],
    missing: [],
  });
  const text = (await zc(["migrate", "diff", file, other])).stdout.toString();
  expect(text).toMatch(
    /^RAM pc\.ram: 1 of 4 pages: 0x0 to 0xfff\ntimer 0 ticks: 305419896 → \d+\n$/,
  );
});

test("verify: every page is sent, and nothing is behind the end", async () => {
  const result = await zc(["migrate", "verify", file]);
  expect(result.stderr).toBe(
    `zc: ${makeStream().length} bytes, and nothing wrong: 3 sections, 1 device by the description, 2 RAM blocks\n`,
  );
  const behind = folder.file("behind");
  writeFileSync(behind, Buffer.concat([makeStream(), Buffer.from("more")]));
  const { code, line } = await refused("verify", behind);
  expect({ code, line }).toEqual({
    code: 4,
    line: expect.stringMatching(
      /^zc: \[PROTOCOL\] verify: at offset 0x[0-9a-f]+: 4 bytes behind the end$/,
    ),
  });
});

test("libvirt's header in front", async () => {
  const header = Buffer.alloc(92);
  header.write("LibvirtQemudSave");
  const xml = Buffer.from("<domain/>\0\0\0");
  for (const [at, value] of [
    [16, 2],
    [20, xml.length],
    [24, 1],
    [28, 0],
  ] as const)
    header.writeUInt32LE(value, at);
  const saved = folder.file("saved");
  writeFileSync(saved, Buffer.concat([header, xml, makeStream()]));
  const [first] = (await run("decode", saved)).split("\n");
  expect(JSON.parse(first ?? "")).toEqual({
    ...{ type: "libvirt", offset: 0, length: 104, version: 2, complete: true, wasRunning: true },
    ...{ format: "raw", xml: "<domain/>" },
  });
  header.writeUInt32LE(5, 28);
  writeFileSync(saved, Buffer.concat([header, xml, makeStream()]));
  const { code, line } = await refused("info", saved);
  expect({ code, line }).toEqual({
    code: 4,
    line: expect.stringMatching(
      /expected a stream that is not compressed, found zstd; decompress what/,
    ),
  });
});

test("from a pipe, in a pipeline whose end goes away", async () => {
  const command = `cat ${file} | src/zc migrate decode | head -c 10`;
  const { stdout, stderr } = await start("sh", ["-c", command]).result;
  expect({ stdout: stdout.toString(), stderr }).toEqual({ stdout: '{"type":"h', stderr: "" });
});

test("a pipe that says nothing is left at once when asked to", async () => {
  const running = startZc(["migrate", "decode", "--ram", folder.file("waiting")], {
    stdin: "pipe",
  });
  running.child.stdin?.write(makeStream().subarray(0, 5000));
  while (!existsSync(folder.file("waiting"))) await Bun.sleep(5);
  running.child.kill("SIGTERM");
  expect((await running.result).code).toBe(143);
  expect(readdirSync(folder.file("waiting"))).toEqual([]);
});

test("decode: a full disk behind standard output is told once, and no image stays", async () => {
  const images = folder.file("full");
  const command = `src/zc migrate decode --ram ${images} ${file} > /dev/full; echo $? >&2`;
  const { stderr } = await start("sh", ["-c", command]).result;
  expect(stderr).toMatch(/^zc: \[WRITE_SINK\] write the result: ENOSPC .*\n1\n$/);
  expect(readdirSync(images)).toEqual([]);
});

test("decode: a reader that reads nothing holds up neither what is read nor a signal", async () => {
  const stdout = await fullPipe();
  const running = startZc(["migrate", "decode"], { stdin: "pipe", stdout });
  await new Promise((resolve) => running.child.stdin?.write(makePages(2000), resolve));
  running.child.kill("SIGTERM");
  expect((await running.result).code).toBe(143);
});

test.each([
  [["info", "/nowhere"], 1, /\[READ_SOURCE\] open \/nowhere: ENOENT/],
  [["info", "/dev/null"], 4, /\[TRUNCATED\] read the stream at offset 0x0: expected a header/],
  [["info", "--page-size", "3000"], 2, /"3000" is no page's size/],
  [["convert", "x", "y"], 2, /--to: plain or mapped-ram\?/],
  [["decode", "--archive", "x", "--device", "y"], 2, /--archive: it has everything/],
  [["diff", "x"], 2, /SECOND is missing/],
  [[], 2, /what is to be done is missing/],
  [["replay", "/nowhere", ":1"], 1, /\[READ_SOURCE\] read \/nowhere: ENOENT/],
])("%j", async (args, code, reason) => {
  const result = await zc(["migrate", ...args]);
  expect(result.code).toBe(code);
  expect(result.stderr).toMatch(reason);
});

describe("a VFIO device's state in channels", () => {
  const config = configData(Uint8Array.of(7, 7));
  const packetOf = (index: number) => statePacket({ index, data: new Uint8Array(100) });
  /** Where packets before and behind the end of the last round are. */
  const [before, behind] = [makeChannel(0, [], []).length - 1344, makeChannel(0, [], []).length];
  const last = statePacket({ index: 3, data: config, flags: 1 });

  /** Main, and two channels; the packets come out of order. */
  function capture(name: string, second = packetOf(1)): string {
    const path = folder.file(name);
    mkdirSync(path);
    writeFileSync(`${path}/connection-0`, makeChannel(0, [last], [second]));
    writeFileSync(`${path}/connection-1`, makeVfioStream());
    writeFileSync(`${path}/connection-2`, makeChannel(1, [], [packetOf(2), packetOf(0)]));
    return path;
  }

  test("info", async () => {
    const path = capture("info");
    const info = infoSchema.parse(JSON.parse(await run("info", "--json", path)));
    const deviceStates = [{ name: vfioName, instance: 0, packets: 4, bytes: 302 }];
    expect(info).toMatchObject({ deviceStates });
    const text = await run("info", path);
    expect(text).toMatch(
      /\nstate in channels: 1 device, 302 B\n.*\n +0000:00:02\.0\/vfio +0 +4 +302 B\n/,
    );
  });

  test("decode: where each packet is, in order, behind the elements", async () => {
    const path = capture("decode");
    const lines = (await run("decode", path)).trimEnd().split("\n");
    const elements = lines.map((line) => elementSchema.parse(JSON.parse(line)));
    expect(elements.map(({ type }) => type).slice(-2)).toEqual(["eof", "device-state"]);
    const data = { tag: "dataState", bytes: 100 };
    const [one, two] = [`${path}/connection-0`, `${path}/connection-2`];
    const { length } = packetOf(0);
    expect(elements.at(-1)).toEqual({
      ...{ type: "device-state", name: vfioName, instance: 0, bytes: 302 },
      records: [
        { ...data, channel: two, offset: behind + length },
        { ...data, channel: one, offset: behind + last.length },
        { ...data, channel: two, offset: behind },
        { tag: "configState", bytes: 2, channel: one, offset: before },
      ],
    });
    const tree = await run("decode", "--format", "tree", "--device", vfioName, path);
    expect(tree).toContain(`\ndevice-state ${vfioName} instance 0\n  bytes: 302\n`);
  });

  test("one of the packets is not there", async () => {
    const path = capture("missing", new Uint8Array());
    const { code, line } = await refused("verify", path);
    expect({ code, line }).toEqual({
      code: 4,
      line: `zc: [PROTOCOL] read the stream at offset 0x${before.toString(16)} of ${path}/connection-0: expected packet 1 of the state of "${vfioName}", instance 0, found 3, and never that one`,
    });
  });

  test("a channel says which it is", async () => {
    const path = capture("cut", packetOf(1).subarray(0, 20));
    const { code, line } = await refused("verify", path);
    const offset = (behind + last.length + 20).toString(16);
    expect({ code, line }).toEqual({
      code: 4,
      line: `zc: [TRUNCATED] read the stream at offset 0x${offset} of ${path}/connection-0: expected the rest of a packet, found its end`,
    });
  });

  test("it is not converted", async () => {
    const { code, line } = await refused("convert", "--to", "plain", capture("convert"));
    expect({ code, line }).toEqual({
      code: 3,
      line: expect.stringMatching(
        /^zc: \[UNSUPPORTED\] convert a VFIO device's data, at offset 0x/,
      ),
    });
  });

  test("archive and encode: byte for byte", async () => {
    const [path, archive] = [capture("archived"), folder.file("archive-of-channels")];
    await run("decode", "--archive", archive, path);
    const again = folder.file("archived-again");
    await run("encode", archive, again);
    expect(contentsOf(again).sort()).toEqual(contentsOf(path).sort());
    expect((await refused("encode", archive)).line).toMatch(
      /\[USAGE\] FILE: the archive has chann/,
    );
    expect((await refused("encode", archive, again)).line).toMatch(/\[WRITE_SINK\].*EEXIST/);
  });

  test("an archive of what can be read only once", async () => {
    const path = capture("read-once");
    const channels = ["--channels", `${path}/connection-0,/dev/null`];
    const archive = folder.file("never");
    const { line } = await refused(
      "decode",
      "--archive",
      archive,
      ...channels,
      `${path}/connection-1`,
    );
    expect(line).toMatch(/\[USAGE\] --archive: \/dev\/null is no file, and is read once$/);
    expect(existsSync(archive)).toBe(false);
  });

  test("replay: byte for byte", async () => {
    const [path, again] = [capture("replay"), folder.file("replayed")];
    const address = `unix:${folder.file("socket")}`;
    const receiver = startZc(["recv", "-q", address, "--connections", "3", again]);
    await run("replay", "-q", "--retry", "10s", path, address);
    expect((await receiver.result).code).toBe(0);
    expect(contentsOf(again).sort()).toEqual(contentsOf(path).sort());
  });
});

function contentsOf(folder: string): string[] {
  return readdirSync(folder).map((name) => readFileSync(`${folder}/${name}`).toString("hex"));
}

describe("a postcopy's connection for what is urgent", () => {
  const { main, urgent } = makePostcopy();

  function capture(name: string, ...files: readonly Uint8Array[]): string {
    const path = folder.file(name);
    mkdirSync(path);
    for (const [number, bytes] of files.entries())
      writeFileSync(`${path}/connection-${number}`, bytes);
    return path;
  }

  test("its pages are the RAM's", async () => {
    const [path, images] = [capture("preempt", main, urgent), folder.file("preempt-images")];
    await run("decode", "--ram", images, path);
    expect(readFileSync(`${images}/a`).equals(page)).toBe(true);
    const info = JSON.parse(await run("info", "--json", path));
    expect(info.ram.pages).toMatchObject({ normal: 1, zero: 1, again: 1 });
  });

  test("there may be nothing", async () => {
    const path = capture("nothing-urgent", main, new Uint8Array());
    const info = JSON.parse(await run("info", "--json", path));
    expect(info.ram.pages).toMatchObject({ normal: 0, zero: 1 });
  });

  test.each([
    ["two of them", [main, urgent, urgent], /two files are of urgent pages$/],
    [
      "without a postcopy",
      [makeStream(), urgent],
      /0x0 of .*-1: expected a channel of multifd's, found a postcopy's, which this is not$/,
    ],
    ["half a page", [main, urgent.subarray(0, 99)], /0x63 of .*-1: expected the rest of a page, /],
  ])("%s", async (name, files, reason) => {
    const { code, line } = await refused("info", capture(name, ...files));
    expect({ code, line }).toEqual({ code: 4, line: expect.stringMatching(reason) });
  });
});

test("relay: what is no migration is passed on, and named", async () => {
  const [near, far] = [`unix:${folder.file("near")}`, `unix:${folder.file("far")}`];
  const [sent, received] = [folder.file("sent"), folder.file("received")];
  writeFileSync(sent, "GET / HTTP/1.0\r\n\r\n");
  const receiver = startZc(["recv", "-q", far, received]);
  const relay = startZc(["migrate", "relay", "--retry", "10s", near, far]);
  expect((await zc(["send", "-q", "--retry", "10s", near, sent])).code).toBe(0);
  const { code, stderr } = await relay.result;
  expect({ code, line: stderr.trimEnd().split("\n").at(-1) }).toEqual({
    code: 0,
    line: "zc: no migration was seen",
  });
  expect((await receiver.result).code).toBe(0);
  expect(readFileSync(received).equals(readFileSync(sent))).toBe(true);
});

test("a folder without a stream is no capture", async () => {
  const empty = folder.file("empty");
  mkdirSync(empty);
  const { code, line } = await refused("info", empty);
  expect({ code, line }).toEqual({
    code: 4,
    line: expect.stringMatching(/no file is a migration stream$/),
  });
});

test("mapped-ram needs a file", async () => {
  const { code, line } = await refused("convert", "--to", "mapped-ram", file);
  expect({ code, line }).toEqual({
    code: 2,
    line: "zc: [USAGE] standard output: mapped-ram needs a file",
  });
});
