/** What is done with each command. Those that are missing are not for a server. */
import { constants } from "node:os";
import type { CommandName } from "../../protocol/commands.ts";
import { Refusal } from "../../refusal.ts";
import type { Handler } from "../session.ts";
import { mapDma, unmapDma } from "./dma.ts";
import { handleFeature } from "./feature.ts";
import { getDeviceInfo, getRegionInfo, getRegionIoFds } from "./info.ts";
import { getIrqInfo, setIrqs } from "./irqs.ts";
import { readMigrationData, writeMigrationData } from "./migration-data.ts";
import { readRegion, writeRegion, writeRegions } from "./region.ts";
import { resetDevice } from "./reset.ts";
import { negotiate } from "./version.ts";

export const handlers: Readonly<Partial<Record<CommandName, Handler>>> = {
  VERSION: negotiate,
  DMA_MAP: whileRunning(mapDma),
  DMA_UNMAP: whileRunning(unmapDma),
  DEVICE_GET_INFO: whileRunning(getDeviceInfo),
  DEVICE_GET_REGION_INFO: whileRunning(getRegionInfo),
  DEVICE_GET_REGION_IO_FDS: whileRunning(getRegionIoFds),
  DEVICE_GET_IRQ_INFO: whileRunning(getIrqInfo),
  DEVICE_SET_IRQS: whileRunning(setIrqs),
  REGION_READ: readRegion,
  REGION_WRITE: writeRegion,
  REGION_WRITE_MULTI: writeRegions,
  DEVICE_RESET: whileRunning(resetDevice),
  DEVICE_FEATURE: handleFeature,
  MIG_DATA_READ: readMigrationData,
  MIG_DATA_WRITE: whileRunning(writeMigrationData),
};

/** libvfio-user takes these neither in STOP nor in STOP_COPY; the specification says nothing of it. */
function whileRunning(handler: Handler): Handler {
  return (session, request) => {
    const state = session.migration?.state;
    if (state === "STOP" || state === "STOP_COPY")
      throw new Refusal(constants.errno.EINVAL, `not in ${state}`);
    return handler(session, request);
  };
}
