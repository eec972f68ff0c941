/** The job that makes one ioctl(2), and a device's data, on descriptors that every kernel has. */
import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { library } from "../../../ffi/library.ts";
import { call, callFeature } from "../../../src/vfio/kernel/call.ts";
import { KernelData } from "../../../src/vfio/kernel/data.ts";
import { request } from "../../../src/vfio/kernel/uapi.ts";
import type { DeviceState } from "../../../src/vfio/states.ts";
import { scratch } from "../../support/scratch.ts";
import { root, start } from "../../support/zc.ts";

/** ioctl_tty(2) */
const FIONREAD = 0x541b;
const { EBADF, EFAULT, ENOTTY } = constants.errno;

describe("call", () => {
  let reader: number;
  let writer: number;
  beforeAll(() => {
    const fds = new Int32Array(2);
    library().zc_pipe_open(fds);
    [reader = -1, writer = -1] = fds;
  });
  afterAll(() => {
    closeSync(reader);
    closeSync(writer);
  });

  test("lets the kernel fill a struct", async () => {
    writeSync(writer, "12345");
    const count = new Uint8Array(4);
    expect(await call(reader, FIONREAD, count)).toBe(0);
    expect([...count]).toEqual([5, 0, 0, 0]);
  });

  test("tells what the kernel says", async () => {
    expect(await call(-1, FIONREAD, new Uint8Array(4))).toBe(-EBADF);
    expect(await call(reader, FIONREAD, 0)).toBe(-EFAULT);
    expect(await call(reader, request.deviceInfo, new Uint8Array(16))).toBe(-ENOTTY);
    expect(await callFeature(reader, 1, 1 << 16)).toBe(-ENOTTY);
  });

  test("many at once each have their own answer", async () => {
    const counts = Array.from({ length: 50 }, () => new Uint8Array(4));
    await Promise.all(counts.map((count) => call(reader, FIONREAD, count)));
    expect(counts.map(([first]) => first)).toEqual(new Array(50).fill(5));
  });
});

describe("the data of a device", () => {
  /** A file instead: what is read of it ends, as a device's data do. */
  function dataOf(path: string, flags: string, state: DeviceState): KernelData {
    return new KernelData(openSync(path, flags), { name: "it", state: async () => state });
  }

  function end(fd: number) {
    return { fd, name: "the other end", isSocket: false };
  }

  test("come in portions; an end in PRE_COPY is none", async () => {
    using folder = scratch();
    const path = folder.random("data", 3_000_000);
    const fd = openSync(folder.file("out"), "w");
    let told = 0;
    const onProgress = (bytes: number) => {
      told = bytes;
    };
    {
      await using data = dataOf(path, "r", "PRE_COPY");
      expect(await data.moveTo(end(fd), { limit: 1_000_001, onProgress })).toEqual({
        ...{ bytes: 1_000_001, end: "limit" },
      });
      expect(told).toBe(1_000_001);
      expect(await data.moveTo(end(fd))).toEqual({ bytes: 1_999_999, end: "paused" });
      expect(await data.precopyInfo()).toBeUndefined();
    }
    {
      await using data = dataOf(path, "r", "STOP_COPY");
      expect(await data.moveTo(end(fd), { limit: 0 })).toEqual({ bytes: 0, end: "limit" });
      expect(await data.moveTo(end(fd))).toEqual({ bytes: 3_000_000, end: "end" });
    }
    closeSync(fd);
    const bytes = readFileSync(path);
    expect(readFileSync(folder.file("out")).equals(Buffer.concat([bytes, bytes]))).toBe(true);
  });

  test("may end with ENOMSG for now: what came before it counts", async () => {
    using folder = scratch();
    const shim = folder.file("enomsg.so");
    const source = join(root, "test/support/enomsg.c");
    const { status } = spawnSync("cc", ["-D_GNU_SOURCE", "-shared", "-fPIC", "-o", shim, source]);
    expect(status).toBe(0);
    writeFileSync(folder.file("data"), "its state");
    const env = { LD_PRELOAD: shim, ENOMSG_FILE: folder.file("data") };
    const script = join(root, "test/support/move-data.ts");
    const { result } = start(process.execPath, [script, folder.file("data")], { env });
    const { stdout, stderr } = await result;
    expect(stderr).toBe("its state");
    expect(JSON.parse(stdout.toString())).toEqual([
      { bytes: 9, end: "paused" },
      { bytes: 0, end: "paused" },
    ]);
  });

  test("go in whole; what the device refuses is the data's fault", async () => {
    using folder = scratch();
    const path = folder.random("state", 100_000);
    const fd = openSync(path, "r");
    writeFileSync(folder.file("device"), "");
    {
      await using data = dataOf(folder.file("device"), "w", "RESUMING");
      expect(await data.moveFrom(end(fd))).toEqual({ bytes: 100_000, end: "end" });
    }
    expect(readFileSync(folder.file("device")).equals(readFileSync(path))).toBe(true);
    await using full = dataOf("/dev/full", "w", "RESUMING");
    writeFileSync(path, "more", { flag: "a" });
    await expect(full.moveFrom(end(fd))).rejects.toMatchObject({
      ...{ code: "PROTOCOL", exitCode: 4, errnoName: "ENOSPC" },
    });
    closeSync(fd);
  });

  test("that do not go into the sink are the sink's fault", async () => {
    using folder = scratch();
    await using data = dataOf(folder.random("data", 10), "r", "STOP_COPY");
    const fd = openSync("/dev/full", "w");
    await expect(data.moveTo(end(fd))).rejects.toMatchObject({ code: "WRITE_SINK" });
    closeSync(fd);
  });
});
