/** The first exchange of a connection: which version, and what each side can take. */
import { type Connection as Socket, takeConnection } from "../../endpoint/connection.ts";
import { type Connection, closeAll } from "../connection.ts";
import { Malformed } from "../protocol/malformed.ts";
import {
  type Capabilities,
  capabilityDefaults,
  type DecodedVersion,
  decodeVersion,
  encodeVersion,
} from "../protocol/version.ts";
import type { CallOptions, Limits } from "./calls.ts";

export interface Negotiated {
  readonly version: DecodedVersion;
  readonly limits: Limits;
  /** Of the server's own requests; the caller owns it. */
  readonly twin: Socket | undefined;
}

/** The newest that we speak, which has the kernel's migration protocol, version 2. */
const major = 0;
const minor = 2;
/** Of a message to the kernel: SCM_MAX_FD, unix(7). */
const kernelFdsMax = 253;

/** Offers what we take. Throws Malformed, and what `Connection.request` does. */
export async function negotiate(
  connection: Connection,
  offered: Capabilities,
  options: CallOptions,
): Promise<Negotiated> {
  const request = encodeVersion({ major, minor, capabilities: offered });
  const { payload, fds = [] } = await connection.request("VERSION", request, options);
  let twinFd: number | undefined;
  try {
    const version = decodeVersion(payload);
    assertVersion(version);
    const limits = limitsOf(version.capabilities ?? {}, offered);
    twinFd = twinOf(version.capabilities ?? {}, offered, fds);
    const twin = twinFd === undefined ? undefined : takeConnection(twinFd, {});
    return { version, limits, twin };
  } finally {
    closeAll(fds.filter((fd) => fd !== twinFd));
  }
}

function assertVersion(version: DecodedVersion): void {
  if (version.major === major && version.minor <= minor) return;
  const found = `${version.major}.${version.minor}`;
  throw new Malformed({ offset: 0, expected: `version ${major}.${minor} or less`, found });
}

function limitsOf(said: Capabilities, offered: Capabilities): Limits {
  const defaults = capabilityDefaults;
  const ours = offered.max_data_xfer_size ?? defaults.max_data_xfer_size;
  const theirs = said.max_data_xfer_size ?? defaults.max_data_xfer_size;
  if (theirs === 0)
    throw new Malformed({ offset: 4, expected: "a max_data_xfer_size", found: "0" });
  return {
    maxDataXferSize: Math.min(theirs, ours),
    maxMsgFds: Math.min(said.max_msg_fds ?? defaults.max_msg_fds, kernelFdsMax),
    maxDmaMaps: said.max_dma_maps ?? defaults.max_dma_maps,
    pageSizes: said.pgsizes ?? defaults.pgsizes,
    writeMultiple: said.write_multiple ?? defaults.write_multiple,
  };
}

function twinOf(said: Capabilities, offered: Capabilities, fds: readonly number[]) {
  const { twin_socket: twin } = said;
  if (twin?.supported !== true || offered.twin_socket?.supported !== true) return undefined;
  const fd = fds[twin.fd_index ?? 0];
  if (fd !== undefined) return fd;
  const expected = `the twin socket as descriptor ${twin.fd_index ?? 0}`;
  throw new Malformed({ offset: 4, expected, found: `${fds.length} descriptors` });
}
