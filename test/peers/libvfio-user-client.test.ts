/**
 * libvfio-user's samples/client, as it is, against our server: a device's life, and its move to another.
 * ZC_LIBVFIO_USER names a build folder of a checkout (meson setup, ninja).
 */
import { existsSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { scratch } from "../support/scratch.ts";
import { failure, own } from "./own.ts";

/** The client sets the alarm 10 seconds ahead, to ring when it has moved. */
const timeout = 60_000;

const sample = join(process.env["ZC_LIBVFIO_USER"] ?? "/nowhere", "samples/client");

test.skipIf(!existsSync(sample))(
  "libvfio-user's client: regions, an interrupt, DMA both ways, what was written, and a live migration",
  { timeout },
  async () => {
    using folder = scratch();
    // The client starts the other server, which has to be beside it.
    const server = folder.file("server");
    const program = join(import.meta.dirname, "sample-server.ts");
    writeFileSync(server, `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`, { mode: 0o755 });
    const client = folder.file("client");
    symlinkSync(sample, client);

    const socket = folder.file("socket");
    const source = own(server, [socket]);
    await source.note(/listening/);
    const result = await own(client, [socket]).result;
    expect(failure(result)).toBe("");
    expect(result.stdout.toString().match(/INTx triggered/g)).toHaveLength(2);
    expect(failure(await source.result)).toBe("");
  },
);
