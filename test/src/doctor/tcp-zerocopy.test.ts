/** What zc doctor says of TCP_ZEROCOPY_RECEIVE: here, and in networks made for it. */
import { expect, test } from "vitest";
import { doctorSchema } from "../../../src/doctor/finding.schema.ts";
import { launcher, type Result, start, zc } from "../../support/zc.ts";

const isRoot = process.getuid?.() === 0;

function finding(feature: string, { code, stdout }: Result) {
  expect(code).toBe(0);
  const { findings } = doctorSchema.parse(JSON.parse(stdout.toString()));
  return findings.find((each) => each.feature === feature);
}

test("it maps over loopback, and says with which segments", async () => {
  const found = finding("tcp-zerocopy receive", await zc(["doctor", "--json"]));
  expect(found).toMatchObject({ verdict: "works" });
  expect(found?.detail).toMatch(/^(\d+|> 99) % of the bytes mapped over loopback, --mss 4108/);
});

const notEnough = /^ip link set v0 mtu \d+ .* on both hosts, then --mss 4108 on both ends$/;

test.skipIf(!isRoot).each([
  ["-4", "10.9.9.1/24", 4147, "copies", notEnough],
  ["-4", "10.9.9.1/24", 4148, "works", /ethtool --show-ring v0/],
  ["-6", "fd09::1/64", 4167, "copies", notEnough],
  ["-6", "fd09::1/64", 4168, "works", /ethtool --show-ring v0/],
])(
  "a default route %s through %s with an MTU of %i: %s",
  async (family, address, mtu, verdict, mend) => {
    const command = `
    mount -t sysfs sysfs /sys; ip link set lo up
    ip link add v0 mtu ${mtu} type veth peer name v1; ip link set v1 up
    ip addr add ${address} dev v0 nodad; ip link set v0 up; ip ${family} route add default dev v0
    exec ${launcher} doctor --json`;
    const result = await start("unshare", ["-n", "-m", "sh", "-c", command]).result;
    const found = finding("tcp-zerocopy route", result);
    expect(found).toMatchObject({ verdict });
    expect(found?.detail).toContain(`${mtu}`);
    expect(found?.mend).toMatch(mend);
  },
);

test.skipIf(!isRoot)("without a default route there is nothing to say", async () => {
  const command = `ip link set lo up; exec ${launcher} doctor --json`;
  const result = await start("unshare", ["-n", "sh", "-c", command]).result;
  expect(finding("tcp-zerocopy route", result)).toMatchObject({ verdict: "missing" });
});
