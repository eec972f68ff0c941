/**
 * io_uring at both ends on an old kernel and a new one, and zero-copy receive without a device: every
 * rule of its buffers, but not the card; and what is said of interfaces that cannot do it.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Guest } from "./guest.ts";
import type { Kernel } from "./kernels.ts";
import { describeWithKernel } from "./lab.ts";

const address = "127.0.0.1:5000";
const size = 20_000_001;

async function bootWithFile(kernel: Kernel): Promise<Guest> {
  const guest = await Guest.boot({ kernel, rss: true });
  await guest.run(`
    head -c ${size} /dev/urandom >/dev/shm/in
    ip link set eth0 up
    ip link add many numrxqueues 4 numtxqueues 4 type veth peer name peer
    ip link set many up`);
  return guest;
}

for (const kind of ["newest", "old"] as const) {
  describeWithKernel(kind, "io_uring at both ends", (kernel) => {
    let guest: Guest;
    beforeAll(async () => {
      guest = await bootWithFile(kernel);
    });
    afterAll(() => guest?.stop());

    test.each([
      ["io-uring", "io-uring", "4099"],
      ["io-uring", "io-uring", "1048583"],
    ])("sent by %s, received by %s in chunks of %s", async (tx, rx, chunk) => {
      const { code, stdout, stderr } = await guest.run(`
        src/zc recv -q --mode ${rx} --chunk ${chunk} ${address} /dev/shm/out & zc=$!
        src/zc send --json --retry 30s --mode ${tx} --chunk ${chunk} ${address} /dev/shm/in || exit 1
        wait $zc && cmp /dev/shm/in /dev/shm/out`);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      const { bytes, zerocopy } = JSON.parse(stdout.toString());
      expect(bytes).toBe(size);
      const { sends, completions, copied } = zerocopy;
      expect({ completions, copied }).toEqual({ completions: sends, copied: sends });
    });

    if (kind === "newest") describeZcrx(() => guest);
    else test("zcrx is exit 3", () => expectNoZcrx(guest));
  });
}

function describeZcrx(guest: () => Guest): void {
  /** Receives the file, with these options, and gives what the summary says. */
  async function receive(options: string) {
    const { code, stdout, stderr } = await guest().run(`
      src/zc recv --mode zcrx --json ${options} ${address} /dev/shm/out & zc=$!
      src/zc send -q --retry 30s ${address} /dev/shm/in || exit 1
      wait $zc && cmp /dev/shm/in /dev/shm/out`);
    expect(stderr).toMatch(/^zc: listening on .*\n$/);
    expect(code).toBe(0);
    return JSON.parse(stdout.toString());
  }

  test.each([
    ["an area of 16 MiB", ""],
    ["an area of a few pages", "--depth 2 --chunk 4K"],
    ["a checksum", "--checksum"],
    ["a rate", "--rate 30M"],
    ["a size", `--size ${size}`],
  ])("with %s all arrives, and all that was lent goes back", async (_, options) => {
    const { bytes, mode, zerocopy } = await receive(options);
    expect({ bytes, mode }).toEqual({ bytes: size, mode: "zcrx" });
    expect(zerocopy.lent).toBeGreaterThan(size / 4096);
    expect(zerocopy).toMatchObject({ returned: zerocopy.lent, received: 0, untold: 0 });
  });

  test("a sink that is slower than the sender: pieces run out, and come back", async () => {
    const { code, stdout, stderr } = await guest().run(`
      src/zc recv --mode zcrx --json --depth 2 --chunk 4K ${address} 2>/dev/shm/summary |
        (sleep 1; cat) >/dev/shm/out & zc=$!
      src/zc send -q --retry 30s ${address} /dev/shm/in || exit 1
      wait $zc; cmp /dev/shm/in /dev/shm/out && tail -1 /dev/shm/summary`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const { zerocopy } = JSON.parse(stdout.toString());
    expect(zerocopy.returned).toBe(zerocopy.lent);
  });

  test("100 connections, one after another: nothing that was lent is lost", async () => {
    const { stdout } = await guest().run(`
      src/zc recv --mode zcrx --json --keep-open ${address} /dev/shm/out >/dev/shm/summaries & zc=$!
      for time in $(seq 100); do
        until head -c 300000 /dev/shm/in >/dev/tcp/127.0.0.1/5000; do sleep 0.1; done 2>/dev/null
      done
      until [ $(wc -l </dev/shm/summaries) -eq 100 ]; do sleep 0.1; done
      kill -INT $zc; wait $zc; cat /dev/shm/summaries`);
    const lines = stdout.toString().trimEnd().split("\n");
    expect(lines).toHaveLength(100);
    for (const { bytes, zerocopy } of lines.map((line) => JSON.parse(line))) {
      expect(bytes).toBe(300_000);
      expect(zerocopy.lent).toBeGreaterThan(0);
      expect(zerocopy.returned).toBe(zerocopy.lent);
    }
  });

  test("a sender that is killed is an error, and leaves no file", async () => {
    const { code, stderr } = await guest().run(`
      rm -f /dev/shm/out
      src/zc recv --mode zcrx ${address} /dev/shm/out & zc=$!
      src/zc send -q --retry 30s --rate 1M ${address} /dev/zero & sender=$!
      until [ -s /dev/shm/.out.zc-part-* ]; do :; done 2>/dev/null
      kill -KILL $sender; wait $zc; code=$?
      [ -e /dev/shm/out ] && exit 99; exit $code`);
    expect(stderr).toMatch(/\[PEER_RESET\] receive from .*ECONNRESET/);
    expect(code).toBe(1);
  });

  test.each([
    [
      "many 1",
      "zc: warning: many cannot steer flows to queue 1: what comes by another is copied\n",
    ],
    ["eth0 0", ""],
  ])(
    "of --if %s is said what is not as it should be, and it is tried",
    async (options, warning) => {
      const [name, queue, quiet = ""] = options.split(" ");
      const { code, stderr } = await guest().run(`
      src/zc recv --mode zcrx --if ${name} --rxq ${queue} ${quiet} '*:5000' /dev/null & zc=$!
      src/zc send -q --retry 30s ${address} /bin/true
      wait $zc`);
      const [notes = "", refusal] = stderr.split(
        /zc: \[UNSUPPORTED\] (?=.*EOPNOTSUPP.*driver cannot)/,
      );
      expect(notes.replace(/zc: listening on .*\n/, "")).toBe(warning);
      expect(refusal).toBeDefined();
      expect(code).toBe(3);
    },
  );

  test("a queue that is not there is exit 2, with those that are", async () => {
    const { code, stderr } = await guest().run(
      `src/zc recv --mode zcrx --if many --rxq 4 ${address} /dev/null`,
    );
    expect(stderr).toMatch(
      /^zc: \[USAGE\] --rxq: many has no receive queue 4; it has 0 to 3;.*\n$/,
    );
    expect(code).toBe(2);
  });

  test("what a card's driver tells is read, and what it does not tell is not known", async () => {
    const { stdout, stderr } = await guest().run(`
      node_modules/.bin/bun -e '
        import { readCardFacts } from "./src/transfer/card-facts.ts";
        import { cardQueue } from "./src/transfer/card-queue.ts";
        const facts = ["eth0", "many"].map((name) => readCardFacts(name, cardQueue(name, 0)));
        process.stdout.write(JSON.stringify(facts));'`);
    expect(stderr).toBe("");
    expect(JSON.parse(stdout.toString())).toEqual([
      { name: "eth0", queue: 0, queues: 1, steering: "never", spread: [0] },
      { name: "many", queue: 0, queues: 4, steering: "never" },
    ]);
  });

  test("without CAP_NET_ADMIN it is exit 3", async () => {
    const { code, stderr } = await guest().run(`
      setpriv --bounding-set=-net_admin src/zc recv --mode zcrx ${address} /dev/null & zc=$!
      src/zc send -q --retry 30s ${address} /dev/shm/in
      wait $zc`);
    expect(stderr).toMatch(/\[UNSUPPORTED\] move by zcrx.*EPERM.*CAP_NET_ADMIN/);
    expect(code).toBe(3);
  });
}

async function expectNoZcrx(guest: Guest): Promise<void> {
  const { code, stderr } = await guest.run(`
    src/zc recv --mode zcrx ${address} /dev/null & zc=$!
    src/zc send -q --retry 30s ${address} /bin/true
    wait $zc`);
  expect(stderr).toMatch(/\[UNSUPPORTED\] move by zcrx.*EOPNOTSUPP/);
  expect(code).toBe(3);
}
