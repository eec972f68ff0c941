/** zc relay: what goes in at one side comes out at the other, and so do ends and resets. */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { relaySchema, relaySummarySchema } from "../../../src/relay/summary.schema.ts";
import { pollIn, ready } from "../../../src/run-job.ts";
import { scratch } from "../../support/scratch.ts";
import { type Running, start, startZc, zc } from "../../support/zc.ts";
import {
  acceptHere,
  connectHere,
  greetingSize,
  halfClose,
  hashOf,
  hear,
  hearOut,
  howConnectingEnds,
  howItEnds,
  join,
  listenHere,
  relayed,
  say,
  startRelay,
} from "./ends.ts";

const size = 20 << 20;

test.each([
  ["tcp", "tcp"],
  ["tcp", "unix"],
  ["unix", "tcp"],
  ["unix", "unix"],
] as const)("%s to %s: all of it, both ways at once", async (from, to) => {
  using folder = scratch();
  const addresses = { tcp: () => ":0", unix: (name: string) => `unix:${folder.file(name)}` };
  const ends = { from: addresses[from]("from"), to: addresses[to]("to") };
  const { near, far, relay } = await relayed(ends, ["--json"]);
  const [question, answer] = [randomBytes(size), randomBytes(size + 4321)];
  const tell = async (end: typeof near, what: Uint8Array) => {
    await say(end, what);
    halfClose(end);
  };
  const [atFar, atNear] = await Promise.all([
    hearOut(far),
    hearOut(near),
    tell(near, question),
    tell(far, answer),
  ]);
  expect(atFar).toEqual({ how: "end", hash: hashOf(question) });
  expect(atNear).toEqual({ how: "end", hash: hashOf(answer) });
  near.close();
  far.close();
  const { code, stdout } = await relay.result;
  expect(code).toBe(0);
  expect(relaySchema.parse(JSON.parse(stdout.toString()))).toMatchObject({
    forth: { bytes: greetingSize + size },
    back: { bytes: size + 4321 },
    mode: "splice",
    copied: false,
  });
});

test("vsock-uds: a guest's port through its VMM's socket, and the other way round", async () => {
  using folder = scratch();
  const vmm = folder.file("vm.vsock");
  const multiplexer = await listenHere(`unix:${vmm}`);
  const guest = `vsock-uds:${vmm}`;
  const { address } = await startRelay([":0", `${guest}:5000`]);
  const near = await connectHere(address);
  const far = await acceptHere(multiplexer);
  expect(await hear(far, "CONNECT 5000\n")).toBe("CONNECT 5000\n");
  await say(far, "OK 1073741824\n");
  await say(near, "to the guest");
  expect(await hear(far, "to the guest")).toBe("to the guest");

  const host = await listenHere();
  await startRelay([`${guest}:6000`, host.address]);
  await join(await connectHere(`unix:${vmm}_6000`), await acceptHere(host));
});

test("fd:N is either end, connected before", async () => {
  const listener = await listenHere();
  const port = listener.address.split(":").at(-1);
  const script = `exec 5<>/dev/tcp/127.0.0.1/${port}; exec 6<>/dev/tcp/127.0.0.1/${port}
    exec src/zc relay fd:5 fd:6`;
  const relay = start("bash", ["-c", script]);
  const [near, far] = [await acceptHere(listener), await acceptHere(listener)];
  await join(near, far);
  halfClose(near);
  halfClose(far);
  expect((await relay.result).code).toBe(0);
});

test("a byte goes at once: 1000 requests of one, answered by one", async () => {
  const { near, far } = await relayed({ to: "unix:@zc-relay-requests" });
  for (let count = 0; count < 1000; count++) {
    await say(near, "?");
    expect(await hear(far, "?")).toBe("?");
    await say(far, "!");
    expect(await hear(near, "!")).toBe("!");
  }
});

test.each(["near", "far"] as const)("the %s side ends: the other goes on", async (first) => {
  const { near, far, relay } = await relayed({});
  const [one, other] = first === "near" ? [near, far] : [far, near];
  await say(one, "my last words");
  halfClose(one);
  expect(await hear(other, "my last words")).toBe("my last words");
  expect(await howItEnds(other)).toBe("end");
  for (const answer of ["still", "there"]) {
    await say(other, answer);
    expect(await hear(one, answer)).toBe(answer);
  }
  halfClose(other);
  expect(await howItEnds(one)).toBe("end");
  expect(await relay.result).toMatchObject({
    code: 0,
    stderr: expect.stringMatching(first === "near" ? /18 B forth, 10 B/ : /15 B forth, 13 B/),
  });
});

test.each(["near", "far"] as const)("the %s side resets: so does the other", async (first) => {
  const { near, far, relay } = await relayed({}, ["--json"]);
  const [one, other] = first === "near" ? [near, far] : [far, near];
  await say(one, "a part");
  expect(await hear(other, "a part")).toBe("a part");
  one.reset();
  expect(await howItEnds(other)).toBe("ECONNRESET");
  const { code, stdout, stderr } = await relay.result;
  expect(code).toBe(1);
  expect(stderr).toMatch(/zc: \[PEER_RESET\] move bytes with tcp:.*: ECONNRESET.*\n$/);
  const summary = relaySummarySchema.parse(JSON.parse(stdout.toString()));
  expect(summary).toMatchObject({ error: { code: "PEER_RESET" } });
  expect(summary.forth.bytes + summary.back.bytes).toBe(greetingSize + 6);
});

test("a reset goes through though the other side takes no more", async () => {
  const { near, far, relay } = await relayed({});
  const flood = say(near, Buffer.alloc(64 << 20)).catch(() => {});
  await hear(far, "the first of it");
  near.reset();
  expect(await howItEnds(far)).toBe("ECONNRESET");
  expect((await relay.result).code).toBe(1);
  await flood;
});

test("a unix socket that closes with something unread resets the other side", async () => {
  const { near, far } = await relayed({ to: "unix:@zc-relay-unread" });
  await say(near, "nobody reads this");
  await say(far, "but this");
  expect(await hear(near, "but this")).toBe("but this");
  far.close();
  expect(await howItEnds(near)).toBe("ECONNRESET");
});

test("it is no success before both have taken every byte", async () => {
  const { near, far, relay } = await relayed({ to: "unix:@zc-relay-untaken" });
  halfClose(far);
  expect(await howItEnds(near)).toBe("end");
  await say(near, "nobody reads this");
  halfClose(near);
  await ready(far.fd, pollIn);
  far.close();
  expect(await relay.result).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/\[PEER_RESET\] move bytes with unix:@zc-relay-untaken/),
  });
});

test.each(["near", "far"])("kill -9 of the %s peer is no end to the other", async (victim) => {
  const receiver = startZc(["recv", ":0", "/dev/null", "--progress", "plain"]);
  const [, to = ""] = await receiver.note(/listening on (\S+)/);
  const { relay, address } = await startRelay([":0", to]);
  const sender = startZc(["send", address, "/dev/zero"]);
  await receiver.note(/B\/s, average/);
  const [killed, survivor] = victim === "near" ? [sender, receiver] : [receiver, sender];
  killed.child.kill("SIGKILL");
  expect(await survivor.result).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("[PEER_RESET]"),
  });
  expect(await relay.result).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("[PEER_RESET]"),
  });
});

test("kill -9 of the relay is no end to either", async () => {
  const { near, far, relay } = await relayed({});
  relay.child.kill("SIGKILL");
  expect(await howItEnds(near)).toBe("ECONNRESET");
  expect(await howItEnds(far)).toBe("ECONNRESET");
});

test("nobody at TO: the connection is reset, and one line says why", async () => {
  const { relay, address } = await startRelay([":0", "unix:@zc-relay-nobody", "--json"]);
  expect(await howConnectingEnds(address)).toBe("ECONNRESET");
  const { code, stdout, stderr } = await relay.result;
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^zc: listening on .*\nzc: \[CONNECT\] connect to unix:@zc-relay-nobody: ECONNREFUSED.*--retry.*\n$/,
  );
  expect(relaySchema.parse(JSON.parse(stdout.toString()))).toMatchObject({
    far: "unix:@zc-relay-nobody",
    forth: { bytes: 0 },
    error: { code: "CONNECT" },
  });
});

test("--retry waits for TO", async () => {
  using folder = scratch();
  const to = `unix:${folder.file("late")}`;
  const { address } = await startRelay([":0", to, "--retry", "20s"]);
  const near = await connectHere(address);
  await say(near, "early");
  const far = await acceptHere(await listenHere(to));
  expect(await hear(far, "early")).toBe("early");
});

test("--timeout: nothing in either direction resets both", async () => {
  const { near, far, relay } = await relayed({}, ["--timeout", "5s"]);
  expect(await howItEnds(near)).toBe("ECONNRESET");
  expect(await howItEnds(far)).toBe("ECONNRESET");
  expect(await relay.result).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/\[TIMEOUT\] move bytes with tcp:.* and tcp:.*5000 ms/),
  });
});

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s resets what is in flight, and removes the socket", async (signal, expected) => {
  using folder = scratch();
  const path = folder.file("socket");
  const listener = await listenHere();
  const { relay, address } = await startRelay([`unix:${path}`, listener.address, "--keep-open"]);
  const [one, other] = [await connectHere(address), await connectHere(address)];
  await join(one, await acceptHere(listener));
  const far = await acceptHere(listener);
  await join(other, far);
  relay.child.kill(signal);
  expect(await howItEnds(far)).toBe("ECONNRESET");
  // Unix sockets have no reset.
  expect(await howItEnds(one)).toBe("end");
  const { code, stderr } = await relay.result;
  expect(code).toBe(expected);
  expect(stderr).not.toMatch(/\[/);
  expect(existsSync(path)).toBe(false);
});

test("SIGTERM while it retries to connect", async () => {
  const { relay, address } = await startRelay([":0", "unix:@zc-relay-never", "--retry", "60s"]);
  const near = await connectHere(address);
  relay.child.kill("SIGTERM");
  expect(await howItEnds(near)).toBe("ECONNRESET");
  expect((await relay.result).code).toBe(143);
});

test("--keep-open: twenty at once, each on its own", async () => {
  const listener = await listenHere("unix:@zc-relay-twenty");
  const { relay, address } = await startRelay([":0", listener.address, "--keep-open", "--json"]);
  const told = printedLines(relay, 20);
  const pairs = [];
  for (let index = 0; index < 20; index++) {
    const near = await connectHere(address);
    pairs.push({ near, far: await acceptHere(listener), name: `connection ${index}` });
  }
  await Promise.all(
    pairs.map(async ({ near, far, name }) => {
      await say(near, name);
      expect(await hear(far, name)).toBe(name);
      await say(far, `${name}!`);
      expect(await hear(near, `${name}!`)).toBe(`${name}!`);
    }),
  );
  pairs[7]?.near.reset();
  await relay.note(/PEER_RESET/);
  for (const { near, far } of pairs.toSpliced(7, 1)) {
    halfClose(near);
    halfClose(far);
    expect(await howItEnds(near)).toBe("end");
  }
  await told;
  relay.child.kill("SIGTERM");
  const { code, stdout } = await relay.result;
  expect(code).toBe(143);
  const summaries = stdout.toString().trimEnd().split("\n");
  const parsed = summaries.map((line) => relaySummarySchema.parse(JSON.parse(line)));
  expect(parsed).toHaveLength(20);
  expect(parsed.filter(({ error }) => error !== undefined)).toHaveLength(1);
});

/** Resolves once standard output has so many lines. */
function printedLines({ child }: Running, count: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let text = "";
  child.stdout?.on("data", (data: Buffer) => {
    text += data.toString();
    if (text.split("\n").length > count) resolve();
  });
  return promise;
}

test("--keep-open goes on when nobody is at TO for once", async () => {
  using folder = scratch();
  const to = `unix:${folder.file("service")}`;
  const { relay, address } = await startRelay([":0", to, "--keep-open"]);
  expect(await howConnectingEnds(address)).toBe("ECONNRESET");
  await relay.note(/\[CONNECT\].*ENOENT/);
  const listener = await listenHere(to);
  const near = await connectHere(address);
  await say(near, "again");
  expect(await hear(await acceptHere(listener), "again")).toBe("again");
});

const lookMs = 100;

test("--max-connections: one more waits until one has ended", async () => {
  const listener = await listenHere();
  const options = ["--keep-open", "--max-connections", "2"];
  const { address } = await startRelay([":0", listener.address, ...options]);
  const first = await connectHere(address);
  await connectHere(address);
  await acceptHere(listener);
  await acceptHere(listener);
  const third = await connectHere(address);
  await say(third, "my turn");
  await expect(listener.accept({ timeoutMs: lookMs })).rejects.toThrow(/nobody came/);
  first.reset();
  expect(await hear(await acceptHere(listener), "my turn")).toBe("my turn");
});

test("200 connections leave no descriptor behind", async () => {
  const connections = 200;
  const listener = await listenHere();
  const { relay, address } = await startRelay([":0", listener.address, "--keep-open"]);
  const descriptors = () => readdirSync(`/proc/${relay.child.pid}/fd`).length;
  const serve = async (index: number) => {
    const near = await connectHere(address);
    const far = await acceptHere(listener);
    if (index % 4 === 0) {
      near.reset();
      await howItEnds(far);
    } else {
      halfClose(near);
      halfClose(far);
    }
    near.close();
    far.close();
    await relay.note(new RegExp(`^(?:.*\\n){${index + 2}}`)); // a line each, after the first
  };
  for (let index = 0; index < 10; index++) await serve(index);
  const before = descriptors();
  for (let index = 10; index < connections; index++) await serve(index);
  expect(descriptors()).toBe(before);
});

test.each([
  [[":0"], /TO is missing/],
  [[":0", "nonsense"], /nonsense/],
  [[":0", "udp:127.0.0.1:9"], /udp:127.0.0.1:9: a relay needs a stream/],
  [["udp::0", ":1"], /udp:.*no connection to wait for/],
  [[":0", ":1", "--max-connections", "2"], /--max-connections: without --keep-open/],
  [[":0", ":1", "--keep-open", "--max-connections", "0"], /from 1 to 10000/],
  [[":0", ":1", "--timeout", "0"], /--timeout: it cannot be 0/],
  [[":0", "fd:0", "--keep-open"], /fd:0: it is one connection/],
  [["fd:0", ":1"], /fd:0: not a socket/],
  [["fd:0", "fd:0"], /fd:0: it is one connection, and two are joined/],
])("usage: %j is exit 2, in one line", async (args, expected) => {
  const { code, stdout, stderr } = await zc(["relay", ...args]);
  expect(code).toBe(2);
  expect(stdout.length).toBe(0);
  expect(stderr).toMatch(/^(zc: listening on .*\n)?zc: \[USAGE\] .*\n$/);
  expect(stderr).toMatch(expected);
});

test("an address in use is CONNECT, in JSON too", async () => {
  const { address } = await startRelay([":0", ":1"]);
  const { code, stdout } = await zc(["relay", address, ":1", "--json"]);
  expect(code).toBe(1);
  expect(relaySchema.parse(JSON.parse(stdout.toString()))).toMatchObject({
    error: { code: "CONNECT", errnoName: "EADDRINUSE" },
  });
});

test("--progress plain tells of all connections; -q of none", async () => {
  const shown = await relayed({}, ["--progress", "plain"]);
  await shown.relay.note(/\n5 B, .*\/s, average .*\/s\n/);

  const listener = await listenHere();
  const quiet = startZc(["relay", "unix:@zc-relay-quiet", listener.address, "-q"]);
  const near = await connectHere("unix:@zc-relay-quiet", 20_000);
  halfClose(near);
  halfClose(await acceptHere(listener));
  expect(await quiet.result).toMatchObject({ code: 0, stderr: "" });
});
