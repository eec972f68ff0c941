/** Who speaks which version, and can take how much. libvfio-user: lib/tran.c. */
import { constants } from "node:os";
import { library } from "../../../../ffi/library.ts";
import { takeConnection } from "../../../endpoint/connection.ts";
import { closeSocket } from "../../../endpoint/socket.ts";
import type { Reply, Request } from "../../connection.ts";
import {
  type Capabilities,
  capabilityDefaults,
  decodeVersion,
  encodeVersion,
} from "../../protocol/version.ts";
import { Refusal } from "../../refusal.ts";
import { dataSizeMax, dmaMapsMax, fdsMax, pageSize } from "../limits.ts";
import type { Session } from "../session.ts";

const { EINVAL } = constants.errno;
const version = { major: 0, minor: 1 };
/** Of a client's claim: as libvfio-user. */
const clientFdsMax = 1024;

/** The last page size is the one of bitmaps that older clients ask for. */
export async function negotiate(session: Session, { payload, fds }: Request): Promise<Reply> {
  if (fds.length > 0) throw new Refusal(EINVAL, "descriptors come with no version");
  const { major, minor, capabilities = {} } = decodeVersion(payload);
  if (major !== version.major) throw new Refusal(EINVAL, `version ${major}`);
  const clientFds = capabilities.max_msg_fds ?? capabilityDefaults.max_msg_fds;
  if (clientFds > clientFdsMax) throw new Refusal(EINVAL, `${clientFds} descriptors a message`);
  const clientData = capabilities.max_data_xfer_size ?? capabilityDefaults.max_data_xfer_size;
  // libvfio-user takes it, and never ends to send nothing.
  if (clientData === 0) throw new Refusal(EINVAL, "no data in a message");
  const { pgsize = pageSize } = capabilities.migration ?? {};
  if (session.migration !== undefined && pgsize !== pageSize)
    throw new Refusal(EINVAL, `bitmaps of pages of ${pgsize} bytes`);

  const wantsTwin = capabilities.twin_socket?.supported === true && clientFds > 0;
  const [ours, theirs] = wantsTwin ? socketPair() : [];
  const reply = encodeVersion({
    major,
    minor: Math.min(minor, version.minor),
    capabilities: {
      ...ownCapabilities,
      ...(session.migration !== undefined && { migration: { pgsize: pageSize } }),
      ...(wantsTwin && { twin_socket: { supported: true, fd_index: 0 } }),
    },
  });
  await session.begin({
    dataSizeMax: Math.min(clientData, dataSizeMax),
    twin: ours === undefined ? undefined : takeConnection(ours, {}),
  });
  if (theirs === undefined) return { payload: reply };
  return { payload: reply, fds: [theirs], onSent: () => closeSocket(theirs) };
}

const ownCapabilities = {
  max_msg_fds: fdsMax,
  max_data_xfer_size: dataSizeMax,
  max_dma_maps: dmaMapsMax,
  pgsizes: pageSize,
  write_multiple: true,
} as const satisfies Capabilities;

function socketPair(): readonly [number, number] {
  const fds = new Int32Array(2);
  const result = library().zc_socket_pair(fds);
  const [one, other] = fds;
  if (result < 0 || one === undefined || other === undefined)
    throw new Refusal(-result, "open a second socket");
  return [one, other];
}
