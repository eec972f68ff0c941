/**
 * What follows SERVER_ERROR: iperf3's own number of the error and the server's errno, each a
 * big-endian u32.
 */
import { malformed } from "./malformed.ts";

export const serverErrorSize = 8;

export interface ServerError {
  /** Of `serverErrors`, or one that this version does not know. */
  readonly number: number;
  /** Of the server's system, which need not be Linux; 0 for none. */
  readonly errno: number;
}

/** Those that a server can come to, by their names and numbers in iperf_api.h. */
export const serverErrors = {
  IEDURATION: { number: 5, meaning: "so long a test is not allowed" },
  IENUMSTREAMS: { number: 6, meaning: "so many streams are not allowed" },
  IEBLOCKSIZE: { number: 7, meaning: "that block size is not allowed" },
  IEBUFSIZE: { number: 8, meaning: "that socket buffer is not allowed" },
  IEMSS: { number: 10, meaning: "that MSS is not allowed" },
  IENOSENDFILE: { number: 11, meaning: "it has no sendfile" },
  IEOMIT: { number: 12, meaning: "that time to omit is not allowed" },
  IEUNIMP: { number: 13, meaning: "it does not have what was asked for" },
  IEFILE: { number: 14, meaning: "it cannot open its file" },
  IEBURST: { number: 15, meaning: "that burst is not allowed" },
  IEUDPBLOCKSIZE: { number: 20, meaning: "that size of datagrams is not allowed" },
  IEBADTOS: { number: 21, meaning: "that TOS is not allowed" },
  IETOTALRATE: { number: 27, meaning: "its limit of the rate is exceeded" },
  IEMAXSERVERTESTDURATIONEXCEEDED: { number: 37, meaning: "its limit of a test's time is lower" },
  IEINITTEST: { number: 101, meaning: "it cannot start the test" },
  IERECVCOOKIE: { number: 106, meaning: "no cookie came" },
  IECTRLCLOSE: { number: 109, meaning: "the control connection was closed" },
  IEMESSAGE: { number: 110, meaning: "it does not know that state" },
  IERECVPARAMS: { number: 114, meaning: "it does not understand the parameters" },
  IERECVRESULTS: { number: 117, meaning: "it does not understand the results" },
  IECLIENTTERM: { number: 119, meaning: "the client has stopped" },
  IESETNODELAY: { number: 122, meaning: "it cannot set TCP_NODELAY" },
  IESETMSS: { number: 123, meaning: "it cannot set that MSS" },
  IESETBUF: { number: 124, meaning: "it cannot set that socket buffer" },
  IESETTOS: { number: 125, meaning: "it cannot set that TOS" },
  IESETCOS: { number: 126, meaning: "it cannot set that traffic class" },
  IEPROTOCOL: { number: 131, meaning: "it does not have that protocol" },
  IEAFFINITY: { number: 132, meaning: "it cannot run on that processor" },
  IESETCONGESTION: { number: 134, meaning: "it does not have that congestion control" },
  IESETBUF2: { number: 141, meaning: "its socket buffers cannot be so large" },
  IEAUTHTEST: { number: 142, meaning: "it does not know this user and password" },
  IENOMSG: { number: 144, meaning: "no data came for too long" },
  IESERVERTESTDURATIONEXPIRED: { number: 160, meaning: "the test did not end in time" },
  IECREATESTREAM: { number: 200, meaning: "it cannot create a stream" },
  IEINITSTREAM: { number: 201, meaning: "it cannot set a stream up" },
  IESTREAMLISTEN: { number: 202, meaning: "it cannot listen for streams" },
  IESTREAMACCEPT: { number: 204, meaning: "it cannot accept a stream" },
  IESTREAMWRITE: { number: 205, meaning: "it cannot write to a stream" },
  IESTREAMREAD: { number: 206, meaning: "it cannot read from a stream" },
  IESTREAMID: { number: 208, meaning: "the results have a stream that it does not know" },
} as const;

export function encodeServerError({ number, errno }: ServerError): Uint8Array {
  const bytes = new Uint8Array(serverErrorSize);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, number);
  view.setUint32(4, errno);
  return bytes;
}

/** All that came before the end: before 3.21 a failed authentication has no errno. Throws PROTOCOL. */
export function parseServerError(bytes: Uint8Array): ServerError {
  if (bytes.length !== 4 && bytes.length !== serverErrorSize) {
    throw malformed("server error", "4 or 8 bytes", `${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { number: view.getUint32(0), errno: bytes.length === 4 ? 0 : view.getUint32(4) };
}

/** "it does not have that congestion control (iperf3's error 134, its errno 2)" */
export function describeServerError({ number, errno }: ServerError): string {
  const known = Object.values(serverErrors).find((error) => error.number === number);
  const numbers = `iperf3's error ${number}${errno === 0 ? "" : `, its errno ${errno}`}`;
  return known === undefined ? numbers : `${known.meaning} (${numbers})`;
}
