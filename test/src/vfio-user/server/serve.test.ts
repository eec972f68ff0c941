/** zc vfio-user serve, as a user runs it. */
import { existsSync } from "node:fs";
import { expect, test } from "vitest";
import { connect } from "../../../../src/endpoint/connect.ts";
import { startClient } from "../../../../src/vfio-user/client.ts";
import { Connection } from "../../../../src/vfio-user/connection.ts";
import { encodeVersion } from "../../../../src/vfio-user/protocol/version.ts";
import { scratch } from "../../../support/scratch.ts";
import { listening, zc } from "../../../support/zc.ts";
import { defaults } from "../pair.ts";

const version = encodeVersion({ major: 0, minor: 1 });

test.each(["SIGINT", "SIGTERM"] as const)(
  "serves until %s, a client or not, and removes its socket",
  async (name) => {
    using folder = scratch();
    const path = folder.file("gpio");
    const server = await listening(["vfio-user", "serve", path, "--device", "gpio"]);
    const socket = await connect({ transport: "unix", path, abstract: false });
    const client = new Connection(socket, defaults);
    await client.request("VERSION", version);
    server.child.kill(name);
    expect((await server.result).code).toBe(name === "SIGINT" ? 130 : 143);
    await client.ended;
    expect(existsSync(path)).toBe(false);
  },
);

test("one client after another; those who come meanwhile wait; --once ends", async () => {
  using folder = scratch();
  const path = folder.file("memory");
  const address = { transport: "unix", path, abstract: false } as const;
  const args = ["vfio-user", "serve", `unix:${path}`, "--device", "memory", "--size", "64K"];
  const server = await listening(args);
  const first = new Connection(await connect(address), defaults);
  await first.request("VERSION", version);
  const second = new Connection(await connect(address), defaults);
  const order: string[] = [];
  const waiting = second.request("VERSION", version).then(() => order.push("second"));
  await first.request("DEVICE_RESET", new Uint8Array(0)).then(() => order.push("first"));
  first.close();
  await Promise.all([first.ended, waiting]);
  expect(order).toEqual(["first", "second"]);
  second.close();
  await second.ended;
  server.child.kill("SIGTERM");
  await server.result;

  const once = await listening([...args, "--once"]);
  const client = await startClient(await connect(address));
  await client[Symbol.asyncDispose]();
  expect((await once.result).code).toBe(0);
});

test.each([
  [["/tmp/x"], "--device"],
  [["/tmp/x", "--device", "disk"], "disk"],
  [["/tmp/x", "--device", "memory", "--size", "5000"], "power of two"],
  [["/tmp/x", "--device", "memory", "--size", "8G"], "from 4096 to 4294967296"],
  [["/tmp/x", "--device", "gpio", "--size", "4096"], "--size"],
  [["/tmp/x", "--device", "gpio", "--dirty-rate", "1M"], "--dirty-rate"],
] as const)("%j is a usage error", async (args, reason) => {
  const { code, stderr } = await zc(["vfio-user", "serve", ...args]);
  expect(code).toBe(2);
  expect(stderr).toContain(reason);
});
