/** What is done while a stream is made, for it to have what its kind is about. */
import { setTimeout as pause } from "node:timers/promises";
import type { Machine } from "../peers/machine.ts";

/**
 * QEMU sends a tenth of it at once and then rests: less than what the guest dirties, so that it does
 * write in each round, and the migration does not end with the second.
 */
export const slow = { "max-bandwidth": 3 << 20, "downtime-limit": 1 };

/** It ends with the first round that has XBZRLE, or soon after. */
export async function untilXbzrle({ qmp }: Machine): Promise<void> {
  await untilMigrated(qmp, (progress) => (progress["xbzrle-cache"]?.bytes ?? 0) > 0);
  await qmp.execute("migrate-set-parameters", { "downtime-limit": 5000 });
}

/** What was sent before, and written to since, is discarded, asked for and sent again. */
export async function untilPostcopy({ qmp }: Machine): Promise<void> {
  await untilMigrated(qmp, ({ ram }) => (ram?.transferred ?? 0) > 1 << 20);
  await qmp.execute("migrate-start-postcopy");
  await untilMigrated(qmp, ({ ram }) => (ram?.["postcopy-requests"] ?? 0) > 1);
  await qmp.execute("migrate-set-parameters", { "max-postcopy-bandwidth": 0 });
}

interface Progress {
  readonly status?: string;
  readonly ram?: { readonly transferred: number; readonly "postcopy-requests": number };
  readonly "xbzrle-cache"?: { readonly bytes: number };
}

async function untilMigrated(
  qmp: Machine["qmp"],
  isThere: (progress: Progress) => boolean,
): Promise<void> {
  for (;;) {
    const progress = (await qmp.execute("query-migrate")) as Progress;
    if (isThere(progress)) return;
    if (progress.status === "completed" || progress.status === "failed")
      throw new Error(`the migration has ${progress.status} too early`);
    await pause(20);
  }
}
