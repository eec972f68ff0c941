/** Peers that end their side too early, or never. */
import { createReadStream, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { expect, test } from "vitest";
import { scratch } from "../support/scratch.ts";
import { isAbsent } from "./installed.ts";
import { freePort, untilListening, untilPeerEnded } from "./listening.ts";
import { difference, failure, own, ownFile, ownZc, stillRuns } from "./own.ts";

const endAtAccept = [
  ["ncat", (port: string) => ["-l", "--recv-only", "127.0.0.1", port]],
  ["busybox", (port: string) => ["nc", "-l", "-p", port, "127.0.0.1"]],
] as const;

test.for(endAtAccept)(
  "%s ends its side at accept, and receives all the same",
  async ([program, args], { skip }) => {
    skip(isAbsent(program));
    using folder = scratch();
    const source = folder.random("in", 64 << 20);
    const port = await freePort();
    const peer = own(program, args(`${port}`), { stdout: ownFile(folder.file("out"), "w") });
    await untilListening(peer, `tcp:127.0.0.1:${port}`);

    const sender = ownZc(["send", `tcp:127.0.0.1:${port}`], { stdin: "pipe" });
    await untilPeerEnded(sender, port);
    const { stdin } = sender.child;
    if (stdin) await pipeline(createReadStream(source), stdin);

    expect(failure(await sender.result)).toBe("");
    expect(failure(await peer.result)).toBe("");
    expect(await difference(source, folder.file("out"))).toBe("");
  },
);

test.skipIf(isAbsent("socat"))(
  "a peer that has all and closes, before the end of what is sent, is no failure",
  async () => {
    using folder = scratch();
    const address = `unix:${folder.file("socket")}`;
    const peer = own("socat", ["-u", `UNIX-LISTEN:${folder.file("socket")},readbytes=5`, "STDOUT"]);
    await untilListening(peer, address);

    const sender = ownZc(["send", address], { stdin: "pipe" });
    sender.child.stdin?.write("hello");
    expect(await peer.result).toMatchObject({ code: 0, stdout: Buffer.from("hello") });
    expect(await stillRuns(sender)).toBe(true);
    sender.child.stdin?.end();

    expect(failure(await sender.result)).toBe("");
  },
);

const neverEnds = "nc.openbsd"; // without -N

test.skipIf(isAbsent(neverEnds))("--size ends what a sender never ends", async () => {
  using folder = scratch();
  const size = 8 << 20;
  const source = folder.random("in", size);
  const address = `tcp:127.0.0.1:${await freePort()}`;
  const receiver = ownZc(["recv", address, folder.file("out"), "--size", `${size}`]);
  await untilListening(receiver, address);

  const peer = own(neverEnds, address.split(":").slice(1), { stdin: ownFile(source, "r") });

  expect(failure(await receiver.result)).toBe("");
  expect(failure(await peer.result)).toBe("");
  expect(await difference(source, folder.file("out"))).toBe("");
});

test.skipIf(isAbsent(neverEnds))("--timeout ends it too, as an error without a file", async () => {
  using folder = scratch();
  const source = folder.random("in", 1 << 20);
  const address = `tcp:127.0.0.1:${await freePort()}`;
  const receiver = ownZc(["recv", address, folder.file("out"), "--timeout", "500ms"]);
  await untilListening(receiver, address);

  own(neverEnds, address.split(":").slice(1), { stdin: ownFile(source, "r") });

  const { code, stderr } = await receiver.result;
  expect(code).toBe(1);
  expect(stderr).toMatch(/\[TIMEOUT\]/);
  expect(readdirSync(folder.path)).toEqual(["in"]);
});

test.each(["tcp", "unix"])("the receiver never ends its side first, %s", async (transport) => {
  using folder = scratch();
  const address =
    transport === "unix" ? `unix:${folder.file("socket")}` : `tcp:127.0.0.1:${await freePort()}`;
  const receiver = ownZc(["recv", address, folder.file("out")]);
  await untilListening(receiver, address);

  const peer = own("python3", [join(import.meta.dirname, "watchful-sender.py"), address]);

  expect(await peer.result).toMatchObject({ code: 0, stderr: "" });
  expect(failure(await receiver.result)).toBe("");
  expect(readFileSync(folder.file("out")).equals(watchfulSendersBytes())).toBe(true);
});

/** 64 portions of 256 KiB, each filled with its number. */
function watchfulSendersBytes(): Buffer {
  return Buffer.concat(Array.from({ length: 64 }, (_, number) => Buffer.alloc(256 << 10, number)));
}

test.skipIf(isAbsent("busybox"))(
  "busybox nc, which gives up when its peer has ended, sends all",
  async () => {
    using folder = scratch();
    const source = folder.random("in", 16 << 20);
    const address = `tcp:127.0.0.1:${await freePort()}`;
    const receiver = ownZc(["recv", address, folder.file("out")]);
    await untilListening(receiver, address);

    const peer = own("busybox", ["nc", ...address.split(":").slice(1)], {
      stdin: ownFile(source, "r"),
    });

    expect(failure(await receiver.result)).toBe("");
    expect(failure(await peer.result)).toBe("");
    expect(await difference(source, folder.file("out"))).toBe("");
  },
);
