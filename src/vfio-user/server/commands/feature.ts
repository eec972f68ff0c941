/** Migration states and DMA logging. libvfio-user: handle_device_feature. */
import { constants } from "node:os";
import {
  featureDmaLoggingReport,
  featureFlags,
  featureHeader,
  features,
  migrationFlags,
} from "../../../vfio/feature.ts";
import type { Reply, Request } from "../../connection.ts";
import {
  type DecodedFeature,
  decodeDmaLoggingReport,
  decodeDmaLoggingStart,
  decodeFeature,
  decodeMigState,
  encodeDmaLoggingReportReply,
  encodeFeature,
  encodeMigration,
  encodeMigState,
} from "../../protocol/feature.ts";
import { Refusal } from "../../refusal.ts";
import { dataSizeMax } from "../limits.ts";
import type { Migration } from "../migration.ts";
import type { Session } from "../session.ts";
import { checkedBitmapSize } from "../written-pages.ts";

const { EINVAL } = constants.errno;
const { GET, SET, PROBE } = featureFlags;

interface FeatureContext {
  readonly session: Session;
  readonly migration: Migration;
  readonly request: DecodedFeature;
}

/** What can be done with a feature: the data of GET's reply, and SET, whose reply is its request. */
interface FeatureHandler {
  readonly get?: (context: FeatureContext) => Uint8Array;
  readonly set?: (context: FeatureContext) => void | Promise<void>;
}

/** Those of a device that can be migrated; libvfio-user has none of them for another. */
const handlers: Readonly<Record<number, FeatureHandler>> = {
  [features.MIGRATION]: {
    get: ({ migration: { features: can } }) =>
      encodeMigration(
        (can.stopCopy ? migrationFlags.STOP_COPY : 0n) |
          (can.p2p ? migrationFlags.P2P : 0n) |
          (can.preCopy ? migrationFlags.PRE_COPY : 0n),
      ),
  },
  [features.MIG_DEVICE_STATE]: {
    get: ({ migration }) => encodeMigState(migration.state),
    set: ({ migration, request }) => migration.setState(decodeMigState(request.data)),
  },
  /** All memory is logged, whatever ranges are asked for: more than was asked, as libvfio-user. */
  [features.DMA_LOGGING_START]: {
    set: ({ session, request }) =>
      session.dma.startLogging(decodeDmaLoggingStart(request.data).page_size),
  },
  [features.DMA_LOGGING_STOP]: { set: ({ session }) => session.dma.stopLogging() },
  [features.DMA_LOGGING_REPORT]: { get: reportDmaLog },
};

export async function handleFeature(session: Session, { payload }: Request): Promise<Reply> {
  const request = decodeFeature(payload);
  const { feature, operations, data } = request;
  const { migration } = session;
  const handler = handlers[feature];
  if (migration === undefined || handler === undefined)
    throw new Refusal(EINVAL, `no feature ${feature}`);
  const known = PROBE | (handler.get ? GET : 0) | (handler.set ? SET : 0);
  if (operations === 0 || operations & ~known) throw new Refusal(EINVAL, "not with this feature");
  if (operations === GET && handler.get) {
    const got = handler.get({ session, migration, request });
    return { payload: encodeFeature({ feature, operations, data: fitting(request, got) }) };
  }
  fitting(request, data);
  if (operations === SET) await handler.set?.({ session, migration, request });
  else if ((operations & PROBE) === 0) throw new Refusal(EINVAL, "one operation at a time");
  return { payload: encodeFeature({ feature, operations, data }) };
}

function reportDmaLog({ session, request }: FeatureContext): Uint8Array {
  const report = decodeDmaLoggingReport(request.data);
  const { iova, length, page_size } = report;
  const size =
    featureHeader.size + featureDmaLoggingReport.size + checkedBitmapSize(length, page_size);
  if (size > Math.min(request.argsz, dataSizeMax))
    throw new Refusal(EINVAL, "a bitmap that there is no room for");
  return encodeDmaLoggingReportReply(report, session.dma.takeLog(iova, length, page_size));
}

/** Throws where the client has no room for them. */
function fitting({ argsz }: DecodedFeature, data: Uint8Array): Uint8Array {
  if (argsz < featureHeader.size + data.length) throw new Refusal(EINVAL, "an argsz too small");
  return data;
}
