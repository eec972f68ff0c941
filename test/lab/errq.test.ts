/** zc errq where a packet can be too late: an ETF queue, which the machine's own kernel may lack. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Guest } from "./guest.ts";
import { describeWithKernel } from "./lab.ts";

describeWithKernel("newest", "a packet with a time to leave at", (kernel) => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await Guest.boot({ kernel });
  });
  afterAll(() => guest?.stop());

  test("that has passed is told of as txtime", async () => {
    const { code, stdout, stderr } = await guest.run(`
      ip link add wire type dummy && ip addr add 10.77.9.1/24 dev wire && ip link set wire up
      ip neigh add 10.77.9.2 lladdr 02:00:00:00:00:01 dev wire
      tc qdisc add dev wire root etf clockid CLOCK_TAI delta 200000 || exit
      mkfifo /dev/shm/end /dev/shm/notes
      python3 test/support/txtime-owner.py </dev/shm/end 2>/dev/shm/notes & owner=$!
      exec 8>/dev/shm/end 9</dev/shm/notes
      read -r _ fd <&9
      src/zc errq --pid $owner --fd $fd --drain`);
    expect({ code, stderr }).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/will not see them/),
    });
    const [, notice] = stdout.toString().trimEnd().split("\n");
    const expected = {
      origin: "txtime",
      code: "invalid-param",
      txtime: expect.stringMatching(/^\d{19}$/),
    };
    expect(JSON.parse(notice ?? "{}")).toMatchObject(expected);
  });
});
