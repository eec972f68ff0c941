/** The device's state as it moves. libvfio-user: handle_mig_data_read and _write. */
import { constants } from "node:os";
import type { Reply, Request } from "../../connection.ts";
import {
  decodeMigData,
  decodeMigDataRead,
  encodeMigDataHeader,
} from "../../protocol/migration-data.ts";
import { Refusal } from "../../refusal.ts";
import type { Migration } from "../migration.ts";
import { emptyReply, type Session } from "../session.ts";

const { EINVAL } = constants.errno;

/**
 * Filled up with zeros to what was asked for, as libvfio-user's replies are: its client waits for all
 * of it. What is data is told by the size in the reply.
 */
export async function readMigrationData(session: Session, { payload }: Request): Promise<Reply> {
  const migration = migrationOf(session);
  const size = decodeMigDataRead(payload);
  if (size > session.dataSizeMax) throw new Refusal(EINVAL, "more than the client takes");
  const data = await migration.read(size);
  if (data.length > size) throw new Refusal(EINVAL, "the device gave more than was asked for");
  return { payload: encodeMigDataHeader(data.length), data: filledUp(data, size) };
}

function filledUp(data: Uint8Array, size: number): Uint8Array {
  if (data.length === size) return data;
  const filled = new Uint8Array(size);
  filled.set(data);
  return filled;
}

export async function writeMigrationData(session: Session, { payload }: Request): Promise<Reply> {
  const migration = migrationOf(session);
  const data = decodeMigData(payload);
  if (data.length > session.dataSizeMax) throw new Refusal(EINVAL, "more than the client takes");
  await migration.write(data);
  return emptyReply;
}

function migrationOf({ migration }: Session): Migration {
  if (migration === undefined) throw new Refusal(EINVAL, "the device cannot be migrated");
  return migration;
}
