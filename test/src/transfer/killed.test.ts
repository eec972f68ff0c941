/** Either end killed at any moment: the other one notices, says so, and ends. */
import { expect, test } from "vitest";
import { listening, type Result, startZc } from "../../support/zc.ts";

const rounds = 200;
const atOnce = 4;
const latestMs = 60;

test(`kill -9 at ${rounds} random moments leaves nobody stuck`, async () => {
  for (let round = 0; round < rounds; round += atOnce) {
    const batch = Array.from({ length: atOnce }, (_, index) => killOne(round + index));
    for (const { code, stderr } of await Promise.all(batch)) {
      expect(code).toBe(1);
      expect(stderr).toMatch(/zc: \[[A-Z_]+\] .*\n$/);
    }
  }
});

/** Returns how the survivor ended. Both ends differ by round: by reference, from memory, by copies. */
async function killOne(round: number): Promise<Result> {
  const mode = ["msg-zerocopy", "copy", "io-uring"][round % 3] ?? "auto";
  const receiving = round % 4 < 2 ? "auto" : "tcp-zerocopy";
  const receiver = await listening(["recv", ":0", "/dev/null", "--mode", receiving]);
  const sender = startZc(["send", "--mode", mode, "-v", receiver.address, "/dev/zero"]);
  await sender.note(/connected/);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * latestMs));
  const [victim, survivor] = round % 2 === 0 ? [sender, receiver] : [receiver, sender];
  victim.child.kill("SIGKILL");
  await victim.result;
  return survivor.result;
}
