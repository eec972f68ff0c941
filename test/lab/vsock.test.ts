/** vsock, on a kernel that has it, its local CID, and MSG_ZEROCOPY for it (6.7); and on one that has not. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { benchResultSchema } from "../../src/bench/result.schema.ts";
import { casesOf, isNightly } from "../support/nightly.ts";
import { Guest } from "./guest.ts";
import { describeWithKernel } from "./lab.ts";

const size = 20_000_001;
/** Three processes start, emulated. */
const benchMsMax = 120_000;

/** Makes /dev/shm/in, and runs both ends; the sender's summary goes to stdout, `same` follows. */
function transfer(address: string, sendOptions: string, receiveOptions = ""): string {
  return `
    [ -e /dev/shm/in ] || head -c ${size} /dev/urandom >/dev/shm/in
    src/zc recv ${receiveOptions} ${address} /dev/shm/out 2>/dev/shm/notes & receiver=$!
    src/zc send --retry 30s --json ${sendOptions} ${address} /dev/shm/in || exit
    wait $receiver || { cat /dev/shm/notes >&2; exit 1; }
    cmp /dev/shm/in /dev/shm/out`;
}

describeWithKernel("newest", "vsock on the local CID", (kernel) => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await Guest.boot({ kernel });
  });
  afterAll(() => guest?.stop());

  test("auto sends without copies, but for what the peer has no credit for", async () => {
    const { code, stdout, stderr } = await guest.run(transfer("vsock:local:5000", ""));
    expect({ code, stderr: stderr.trim() }).toEqual({ code: 0, stderr: "" });
    const { mode, zerocopy, bytes } = JSON.parse(stdout.toString());
    expect({ mode, bytes }).toEqual({ mode: "msg-zerocopy", bytes: size });
    expect(zerocopy.completions).toBe(zerocopy.sends);
    // Where the peer's credit has run low, a send that would need more of it is copied.
    expect(zerocopy.copied).toBeLessThan(zerocopy.completions / 4);
  });

  test("a chunk that the peer has no room for is copied, which is said", async () => {
    const options = "--mode msg-zerocopy --chunk 1M";
    const { code, stdout } = await guest.run(
      transfer("vsock:local:5001", options, "--rcvbuf 256K"),
    );
    expect(code).toBe(0);
    const { zerocopy } = JSON.parse(stdout.toString());
    expect(zerocopy.copied).toBeGreaterThan(0);
  });

  test("auto finds the chunk that is not copied", async () => {
    const { code, stdout } = await guest.run(transfer("vsock:local:5002", "", "--rcvbuf 64K"));
    expect(code).toBe(0);
    const { mode, zerocopy } = JSON.parse(stdout.toString());
    expect(mode).toBe("msg-zerocopy");
    expect(zerocopy.copied).toBeLessThan(zerocopy.completions / 2);
  });

  test.each(casesOf(["copy", "sendfile", "splice"], ["splice"]))(
    "%s arrives whole",
    async (mode) => {
      const { code } = await guest.run(transfer("vsock:local:5003", `--mode ${mode}`));
      expect(code).toBe(0);
    },
  );

  test("a pipe, sent from a ring of buffers, arrives whole", async () => {
    const { code, stdout } = await guest.run(`
      src/zc recv --expect sha256:$(head -c ${size} /dev/zero | sha256sum | cut -c1-64) \\
        vsock:any:5004 /dev/null & receiver=$!
      head -c ${size} /dev/zero | src/zc send --retry 30s --json vsock:1:5004 && wait $receiver`);
    expect(code).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ mode: "msg-zerocopy", bytes: size });
  });

  test("a relay between two ports, ends passed on both ways; that vsock copies is said", async () => {
    const { code, stdout, stderr } = await guest.run(`
      head -c ${size} /dev/urandom >/dev/shm/relayed
      src/zc recv -q vsock:any:5009 /dev/shm/arrived & receiver=$!
      src/zc relay -q --json --retry 30s vsock:any:5010 vsock:1:5009 & relay=$!
      src/zc send -q --retry 30s vsock:1:5010 /dev/shm/relayed && wait $receiver && wait $relay &&
      cmp /dev/shm/relayed /dev/shm/arrived`);
    expect({ code, stderr: stderr.trim() }).toEqual({ code: 0, stderr: "" });
    expect(JSON.parse(stdout.toString())).toMatchObject({
      forth: { bytes: size },
      back: { bytes: 0 },
      copied: true,
    });
  });

  test.each(["msg-zerocopy", "io-uring"])("a channel by %s: no send is copied", async (mode) => {
    const pages = 2048;
    const pattern = "node_modules/.bin/bun test/lab/pattern.ts";
    const { code, stdout } = await guest.run(`
      src/zc recv -q vsock:any:5007 | ${pattern} check >/dev/shm/checked & receiver=$!
      ${pattern} send ${mode} vsock:1:5007 ${pages} && wait $receiver && cat /dev/shm/checked`);
    const [counters = "", verdict] = stdout.toString().split("\n");
    expect({ code, verdict }).toEqual({ code: 0, verdict: `${pages} pages` });
    const { sends, completions, copied, fallbacks } = JSON.parse(counters);
    expect({ completions, copied, fallbacks }).toEqual({
      completions: sends,
      copied: 0,
      fallbacks: 0,
    });
  });

  test("a channel over kernel TLS copies; by name it is an error", async () => {
    const { stdout, stderr } = await guest.run(`
      src/zc recv -q --keep-open 127.0.0.1:5008 >/dev/null & receiver=$!
      node_modules/.bin/bun test/lab/kernel-tls.ts 127.0.0.1:5008; kill $receiver`);
    expect({ ...JSON.parse(stdout.toString() || "{}"), stderr }).toEqual({
      auto: { bytes: 100_000, copied: true },
      "msg-zerocopy": { code: "UNSUPPORTED", errno: "EOPNOTSUPP", given: 100_000 },
      "io-uring": { code: "UNSUPPORTED", errno: "EOPNOTSUPP", given: 100_000 },
      stderr: expect.anything(),
    });
  });

  test("a peer in Python, both ways", async () => {
    const { code, stdout, stderr } = await guest.run(`
      head -c ${size} /dev/urandom >/dev/shm/python
      python3 test/lab/vsock-peer.py receive 5005 >/dev/shm/received & peer=$!
      src/zc send -q --retry 30s vsock:1:5005 /dev/shm/python && wait $peer || exit
      python3 test/lab/vsock-peer.py send 5006 </dev/shm/received & peer=$!
      src/zc recv -q --connect --retry 30s vsock:1:5006 /dev/shm/returned && wait $peer || exit
      cmp /dev/shm/python /dev/shm/returned && echo same`);
    expect({ code, stdout: stdout.toString(), stderr }).toEqual({
      code: 0,
      stdout: "same\n",
      stderr: "",
    });
  });

  test("nobody there is one line", async () => {
    const { code, stderr } = await guest.run("src/zc send vsock:1:5999 /dev/null");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^zc: \[CONNECT\] connect to vsock:1:5999: ECONNRESET.*\n$/);
  });

  test("zc doctor finds what this kernel has", async () => {
    const { stdout } = await guest.run("src/zc doctor --json");
    const { findings } = JSON.parse(stdout.toString());
    const verdicts = Object.fromEntries(
      findings.map(({ feature, verdict }: { feature: string; verdict: string }) => [
        feature,
        verdict,
      ]),
    );
    expect(verdicts).toMatchObject({
      "msg-zerocopy vsock": "works",
      "kernel TLS": "works",
      "io_uring receive": "works",
      zcrx: "copies",
    });
  });

  test(
    "zc bench vsock: seconds by pages, and with both buffers raised nothing is copied",
    async () => {
      const { code, stdout, stderr } = await guest.run(`
      bench="src/zc bench vsock --repeat 1 --bytes 8M --source 8M"
      $bench --pages 8,512 --json && $bench --pages 8`);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const [json = "", ...text] = stdout.toString().split("\n");
      const { cells } = benchResultSchema.parse(JSON.parse(json));
      const uncopied = cells.filter(({ mode }) => mode === "msg-zerocopy");
      expect(uncopied.map(({ size }) => size / 4096)).toEqual([8, 512]);
      for (const { runs, summary, buffers, size } of uncopied) {
        expect(runs.length).toBe(1);
        expect(buffers?.sender).toBeGreaterThanOrEqual(64 * size);
        expect(buffers?.receiver).toBe(buffers?.sender);
        expect(summary?.copiedShare).toBeLessThan(0.1);
      }
      const seconds = String.raw`\S+ \(\S+ to \S+\)`;
      expect(text.join("\n")).toMatch(new RegExp(`^ +8 +${seconds} +${seconds} +.*%$`, "m"));
    },
    benchMsMax,
  );

  test.runIf(isNightly)(
    "zc bench from huge pages, where they are reserved; else the command that does",
    async () => {
      const bench = "src/zc bench --transport vsock --huge-pages --modes copy --sizes 1M";
      const options = "--json --repeat 1 --bytes 8M --source 64M";
      const without = await guest.run(`${bench} ${options}`);
      expect(without.code).toBe(3);
      expect(without.stdout.toString()).toMatch(/sysctl vm.nr_hugepages=\d+/);
      const reserved = await guest.run(`sysctl -q vm.nr_hugepages=40 && ${bench} ${options}`);
      expect(reserved.stderr).toBe("");
      const { cells, settings } = benchResultSchema.parse(JSON.parse(reserved.stdout.toString()));
      expect(settings.hugePages).toBe(true);
      expect(cells.map(({ runs }) => runs.length)).toEqual([1]);
    },
    benchMsMax,
  );
});

describeWithKernel("old", "vsock without MSG_ZEROCOPY", (kernel) => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await Guest.boot({ kernel });
  });
  afterAll(() => guest?.stop());

  test("auto copies, and says why", async () => {
    const { code, stdout } = await guest.run(transfer("vsock:local:5000", ""));
    expect(code).toBe(0);
    const { mode, reasons } = JSON.parse(stdout.toString());
    expect(mode).toBe("copy");
    expect(reasons).toContain("msg-zerocopy: refused, EOPNOTSUPP");
  });

  test("by name it is exit 3", async () => {
    const { code, stderr } = await guest.run(`
      src/zc recv -q vsock:1:5001 /dev/null &
      src/zc send --retry 30s --mode msg-zerocopy vsock:1:5001 /bin/true; code=$?
      wait; exit $code`);
    expect(code).toBe(3);
    expect(stderr).toMatch(/\[UNSUPPORTED\].*msg-zerocopy.*EOPNOTSUPP/);
  });

  test("zc doctor says what would mend it", async () => {
    const { code, stdout } = await guest.run("src/zc doctor");
    expect(code).toBe(0);
    expect(stdout.toString()).toMatch(/msg-zerocopy vsock +missing +EOPNOTSUPP\n +-> Linux 6\.7/);
  });
});
