/** Connecting and listening, over everything that this kernel has. */
import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { scratch } from "../../support/scratch.ts";
import { listening, start, startZc, zc } from "../../support/zc.ts";

test.each([
  ["tcp:127.0.0.1:0", /^tcp:127\.0\.0\.1:\d+$/],
  [":0", /^tcp:127\.0\.0\.1:\d+$/],
  ["localhost:0", /^tcp:127\.0\.0\.1:\d+$/],
  ["tcp:[::1]:0", /^tcp:\[::1\]:\d+$/],
  ["*:0", /^tcp:0\.0\.0\.0:\d+$/],
  ["[::]:0", /^tcp:\[::\]:\d+$/],
  ["unix:@zc-endpoint", /^unix:@zc-endpoint$/],
])("%s says where it listens, and is reached there", async (address, expected) => {
  const receiver = await listening(["recv", address]);
  expect(receiver.address).toMatch(expected);
  const sent = await zc(["send", receiver.address, "/dev/zero", "--bytes", "1000"]);
  expect(sent.code).toBe(0);
  expect((await receiver.result).stdout.length).toBe(1000);
});

test("a listening sender and a connecting receiver", async () => {
  const sender = await listening(["send", "--listen", ":0", "/dev/zero", "--bytes", "1000"]);
  const received = await zc(["recv", "--connect", sender.address]);
  expect(received.stdout.length).toBe(1000);
  expect((await sender.result).code).toBe(0);
});

test("every address of a name is tried", async () => {
  const receiver = await listening(["recv", "[::1]:0"]);
  const port = receiver.address.split(":").at(-1);
  expect((await zc(["send", `localhost:${port}`, "/dev/null"])).code).toBe(0);
  expect((await receiver.result).code).toBe(0);
});

test("nobody there: one line, with what to do about it", async () => {
  const { code, stderr } = await zc(["send", "unix:/nowhere/socket", "/dev/null"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^zc: \[CONNECT\] connect to unix:\/nowhere\/socket: ENOENT.*--retry.*\n$/,
  );
});

test("--retry waits for a listener", async () => {
  using folder = scratch();
  const address = `unix:${folder.file("late")}`;
  const sender = startZc(["send", address, "/dev/zero", "--bytes", "10", "--retry", "20s"]);
  const receiver = await listening(["recv", address]);
  expect((await sender.result).code).toBe(0);
  expect((await receiver.result).stdout.length).toBe(10);
});

test("--connect-timeout ends the wait for a connection", async () => {
  const { code, stderr } = await zc(["recv", ":0", "--connect-timeout", "50ms"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(/\[TIMEOUT\]/);
});

test("an address in use is said; a port can be asked for again at once", async () => {
  const first = await listening(["recv", ":0", "/dev/null"]);
  const second = await zc(["recv", first.address]);
  expect(second).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/\[CONNECT\].*EADDRINUSE/),
  });
  await zc(["send", first.address, "/dev/null"]);
  await first.result;
  const third = await listening(["recv", first.address, "/dev/null"]);
  await zc(["send", third.address, "/dev/null"]);
  expect((await third.result).code).toBe(0);
});

test("a socket file: gone afterwards, replaced when dead, never when alive", async () => {
  using folder = scratch();
  const path = folder.file("socket");
  const killed = await listening(["recv", `unix:${path}`, "/dev/null"]);

  const refused = await zc(["recv", `unix:${path}`]);
  expect(refused.stderr).toMatch(/EADDRINUSE/);
  killed.child.kill("SIGKILL");
  await killed.result;
  expect(existsSync(path)).toBe(true);

  const second = await listening(["recv", `unix:${path}`, "/dev/null"]);
  expect((await zc(["send", `unix:${path}`, "/dev/null"])).code).toBe(0);
  expect((await second.result).code).toBe(0);
  expect(existsSync(path)).toBe(false);

  writeFileSync(path, "not a socket");
  expect((await zc(["recv", `unix:${path}`])).stderr).toMatch(/EADDRINUSE/);
  expect(existsSync(path)).toBe(true);
});

test("asking a live listener whether it lives does not disturb it", async () => {
  using folder = scratch();
  const address = `unix:${folder.file("socket")}`;
  const receiver = await listening(["recv", address]);
  await zc(["recv", address]);
  await zc(["send", address, "/dev/zero", "--bytes", "5"]);
  expect((await receiver.result).stdout.length).toBe(5);
});

test("fd:N is a socket that another program connected", async () => {
  const receiver = await listening(["recv", ":0"]);
  const [, , port] = receiver.address.split(":");
  const script = `exec 5<>/dev/tcp/127.0.0.1/${port}; exec src/zc send fd:5 /dev/zero --bytes 7`;
  expect((await start("bash", ["-c", script]).result).code).toBe(0);
  expect((await receiver.result).stdout.length).toBe(7);
});

test.each(["fd:0", "fd:77"])("%s that is no socket is a usage error", async (address) => {
  expect(await zc(["send", address, "/dev/null"])).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/^zc: \[USAGE\]/),
  });
});

/** As Firecracker and Cloud Hypervisor answer on their guest's vsock socket. */
async function withMultiplexer(
  path: string,
  answer: (command: string) => string | undefined,
  action: () => Promise<void>,
): Promise<string> {
  let after = "";
  const server = createServer((socket) => {
    let greeted = false;
    let command = "";
    socket.on("data", (data) => {
      if (greeted) {
        after += data.toString();
        return;
      }
      command += data.toString();
      if (!command.includes("\n")) return;
      greeted = true;
      const reply = answer(command);
      if (reply === undefined) socket.destroy();
      else socket.write(reply);
    });
    socket.on("end", () => socket.end());
  });
  await new Promise<void>((listens) => server.listen(path, listens));
  try {
    await action();
  } finally {
    server.close();
  }
  return after;
}

test("vsock-uds: greets the multiplexer, then sends", async () => {
  using folder = scratch();
  writeFileSync(folder.file("in"), "through the multiplexer");
  const path = folder.file("vm.vsock");
  const commands: string[] = [];
  const accept = (command: string) => {
    commands.push(command);
    return "OK 1073741824\n";
  };
  const got = await withMultiplexer(path, accept, async () => {
    const sent = await zc(["send", `vsock-uds:${path}:5000`, folder.file("in")]);
    expect(sent).toMatchObject({ code: 0 });
  });
  expect(commands).toEqual(["CONNECT 5000\n"]);
  expect(got).toBe("through the multiplexer");
});

test.each([
  ["closes", () => undefined, /\[CONNECT\].*listen on that port/],
  ["says no", () => "NO\n", /\[PROTOCOL\].*"NO"/],
  ["never ends its line", () => "x".repeat(1000), /\[PROTOCOL\]/],
])("vsock-uds: a multiplexer that %s is one clear line", async (_, answer, expected) => {
  using folder = scratch();
  const path = folder.file("vm.vsock");
  await withMultiplexer(path, answer, async () => {
    const { code, stderr } = await zc(["send", `vsock-uds:${path}:5000`, "/dev/null"]);
    expect(code).toBeGreaterThan(0);
    expect(stderr).toMatch(expected);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
  });
});

test("vsock-uds: listening means the socket with the port in its name", async () => {
  using folder = scratch();
  const receiver = await listening(["recv", `vsock-uds:${folder.file("vm.vsock")}:5000`]);
  const guest = await zc([
    "send",
    `unix:${folder.file("vm.vsock_5000")}`,
    "/dev/zero",
    "--bytes",
    "9",
  ]);
  expect(guest.code).toBe(0);
  expect((await receiver.result).stdout.length).toBe(9);
  expect(existsSync(folder.file("vm.vsock_5000"))).toBe(false);
});

test("socket settings are applied, and named in the summary", async () => {
  const receiver = await listening(["recv", ":0", "/dev/null", "--rcvbuf", "100K"]);
  const options = ["--congestion", "reno", "--mss", "1400", "--sndbuf", "64K", "--json"];
  const sent = await zc(["send", receiver.address, "/dev/zero", "--bytes", "1M", ...options]);
  const { settings } = JSON.parse(sent.stdout.toString());
  expect(settings).toMatchObject({ congestion: "reno", sndbuf: 128 << 10 });
  expect(settings.mss).toBeLessThanOrEqual(1400);
  expect((await receiver.result).stderr).toMatch(/rcvbuf 204800/);
});

test.each([
  [["--congestion", "nonsense"], 3, /\[UNSUPPORTED\] set --congestion nonsense: ENOENT/],
  [["--mss", "1400"], 2, /\[USAGE\] --mss: it is TCP's, and this is unix/],
])("a setting that cannot be had is an error: %s", async (options, code, expected) => {
  const address = code === 2 ? "unix:@zc-nobody" : "127.0.0.1:9";
  const sent = await zc(["send", address, "/dev/null", ...options]);
  expect(sent).toMatchObject({ code, stderr: expect.stringMatching(expected) });
});
