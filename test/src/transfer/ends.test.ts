/** The end of a transfer is told truthfully: each way in which today's tools do not. */
import { closeSync, existsSync, openSync, readdirSync, truncateSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { withPeer } from "../../support/peer.ts";
import { scratch } from "../../support/scratch.ts";
import { listening, start, startZc, zc } from "../../support/zc.ts";

/** How it is sent, and how received: what the ends say does not depend on it. */
const modes = [
  ["auto", "auto"],
  ["msg-zerocopy", "copy"],
  ["io-uring", "io-uring"],
] as const;

describe.each(modes)("sent by %s, received by %s", (tx, rx) => {
  test("a killed sender is an error for the receiver, and no file appears", async () => {
    using folder = scratch();
    const receiver = await listening(["recv", "--mode", rx, ":0", folder.file("out")]);
    const sender = startZc([
      "send",
      "--mode",
      tx,
      receiver.address,
      "/dev/zero",
      "--rate",
      "10M",
      "-v",
    ]);
    await sender.note(/connected/);
    sender.child.kill("SIGKILL");
    const { code, stderr } = await receiver.result;
    expect(code).toBe(1);
    expect(stderr).toMatch(/\[PEER_RESET\].*ECONNRESET/);
    expect(readdirSync(folder.path)).toEqual([]);
  });

  test("a killed receiver is an error for the sender", async () => {
    const receiver = await listening(["recv", "--mode", rx, ":0", "/dev/null", "--rate", "1M"]);
    const sender = startZc(["send", "--mode", tx, receiver.address, "/dev/zero", "-v"]);
    await sender.note(/connected/);
    receiver.child.kill("SIGKILL");
    const { code, stderr } = await sender.result;
    expect(code).toBe(1);
    expect(stderr).toMatch(/\[PEER_RESET\]/);
  });

  test("a sender that waits for its own input notices a reset", async () => {
    const receiver = await listening(["recv", "--mode", rx, ":0", "/dev/null"]);
    const sender = startZc(["send", "--mode", tx, receiver.address, "-v"], { stdin: "pipe" });
    await sender.note(/connected/);
    receiver.child.kill("SIGKILL");
    const { code, stderr } = await sender.result;
    expect(code).toBe(1);
    expect(stderr).toMatch(/\[PEER_RESET\]/);
  });

  test("a source that cannot be read to its end resets the connection", async () => {
    using folder = scratch();
    const receiver = await listening(["recv", "--mode", rx, ":0", folder.file("out")]);
    // /proc/self/mem begins with an unmapped page: reading it is EIO.
    const sent = await zc(["send", "--mode", tx, receiver.address, "/proc/self/mem"]);
    expect(sent.code).toBe(1);
    expect(sent.stderr).toMatch(/\[READ_SOURCE\] read \/proc\/self\/mem: EIO/);
    const { code, stderr } = await receiver.result;
    expect(code).toBe(1);
    expect(stderr).toMatch(/\[PEER_RESET\]/);
    expect(existsSync(folder.file("out"))).toBe(false);
  });

  test("a file that becomes shorter while it is sent is TRUNCATED, and resets", async () => {
    using folder = scratch();
    const file = folder.random("in", 8 << 20);
    const receiver = await listening(["recv", "--mode", rx, ":0", folder.file("out")]);
    const sender = startZc(["send", "--mode", tx, receiver.address, file, "--rate", "4M", "-v"]);
    await sender.note(/connected/);
    closeSync(openSync(file, "w"));
    expect(await sender.result).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("[TRUNCATED]"),
    });
    expect((await receiver.result).code).toBe(1);
    expect(existsSync(folder.file("out"))).toBe(false);
  });

  test("nor is what is behind a file's new end taken for its content", async () => {
    using folder = scratch();
    const file = folder.random("in", 10_000);
    const receiver = await listening(["recv", "--mode", rx, ":0", "/dev/null"]);
    const limits = ["--bytes", "10000", "--chunk", "4K", "--rate", "4K"];
    const sender = startZc(["send", "--mode", tx, receiver.address, file, ...limits, "-v"]);
    await sender.note(/connected/);
    truncateSync(file, 8500); // within the page that it ended in
    expect(await sender.result).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("[TRUNCATED]"),
    });
    expect((await receiver.result).code).toBe(1);
  });

  test("a full disk is an error at both ends", async () => {
    const receiver = await listening(["recv", "--mode", rx, ":0", "/dev/full"]);
    const sent = await zc(["send", "--mode", tx, receiver.address, "/dev/zero"]);
    const { code, stderr } = await receiver.result;
    expect(code).toBe(1);
    expect(stderr).toMatch(/\[WRITE_SINK\] write \/dev\/full: ENOSPC/);
    expect(sent.code).toBe(1);
  });

  test("a limit on the file's size is an error, and leaves nothing", async () => {
    using folder = scratch();
    const limited = start("sh", [
      "-c",
      `ulimit -f 8; exec src/zc recv --mode ${rx} :0 ${folder.file("out")}`,
    ]);
    const [, address = ""] = await limited.note(/listening on (\S+)/);
    await zc(["send", "--mode", tx, address, folder.random("in", 1 << 20)]);
    const { code, stderr } = await limited.result;
    expect(code).toBe(1);
    expect(stderr).toMatch(/\[WRITE_SINK\].*EFBIG/);
    expect(readdirSync(folder.path)).toEqual(["in"]);
  });

  test("a peer that takes the bytes into its socket, and then resets, is an error", async () => {
    await withPeer("reset-unread", async (address) => {
      const sent = await zc(["send", "--mode", tx, address, "/dev/zero", "--bytes", "100K"]);
      expect(sent.code).toBe(1);
      expect(sent.stderr).toMatch(/\[PEER_RESET\]/);
    });
  });

  test("a peer that never reads is a TIMEOUT, where one is set", async () => {
    await withPeer("never-read", async (address) => {
      const sent = await zc(["send", "--mode", tx, address, "/dev/zero", "--timeout", "200ms"]);
      expect(sent.code).toBe(1);
      expect(sent.stderr).toMatch(/\[TIMEOUT\].*200 ms/);
    });
  });

  test("a peer that half-closes at once gets everything all the same", async () => {
    await withPeer("early-fin", async (address, peer) => {
      const sent = await zc(["send", "--mode", tx, address, "/dev/zero", "--bytes", "20M"]);
      expect(sent).toMatchObject({
        code: 0,
        stderr: expect.stringContaining("acknowledged"),
      });
      expect(await peer).toBe(`${20 << 20}`);
    });
  });

  test("a peer that talks back while it is sent to does not block the transfer", async () => {
    await withPeer("echo", async (address, peer) => {
      const sent = await zc([
        "send",
        "--mode",
        tx,
        address,
        "/dev/zero",
        "--bytes",
        "50M",
        "--json",
      ]);
      expect(sent.code).toBe(0);
      const { bytes, discarded } = JSON.parse(sent.stdout.toString());
      expect({ bytes, discarded }).toEqual({
        bytes: 50 << 20,
        discarded: 50 << 20,
      });
      expect(await peer).toBe(`${50 << 20}`);
    });
  });

  test("a peer that keeps its side open has acknowledged, which is told", async () => {
    const held: Socket[] = [];
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      held.push(socket.resume());
    });
    await new Promise<void>((listens) => server.listen(0, "127.0.0.1", listens));
    const { port } = server.address() as { port: number };
    const sent = await zc([
      "send",
      "--mode",
      tx,
      `127.0.0.1:${port}`,
      "/dev/zero",
      "--bytes",
      "1M",
      "--json",
    ]);
    expect(JSON.parse(sent.stdout.toString())).toMatchObject({
      bytes: 1 << 20,
      end: "acknowledged",
    });
    for (const socket of held) socket.destroy();
    server.close();
  });

  test("nor does one that ended its side before tell more", async () => {
    const held: Socket[] = [];
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      held.push(socket.end());
    });
    await new Promise<void>((listens) => server.listen(0, "127.0.0.1", listens));
    const { port } = server.address() as { port: number };
    const to = ["--mode", tx, `127.0.0.1:${port}`];
    // Longer than the peer's end takes.
    const limits = ["--bytes", "40K", "--chunk", "8K", "--rate", "32K"];
    const sent = await zc(["send", ...to, "/dev/zero", ...limits, "--json"]);
    expect(JSON.parse(sent.stdout.toString())).toMatchObject({ end: "acknowledged" });
    for (const socket of held) socket.destroy();
    server.close();
  });

  test("the receiver never ends its side before the sender did", async () => {
    const receiver = await listening(["recv", "--mode", rx, ":0", "/dev/null"]);
    const peer = start("python3", ["test/support/patient-sender.py", receiver.address]);
    expect(await peer.result).toMatchObject({ code: 0, stderr: "" });
    expect((await receiver.result).code).toBe(0);
  });
});
