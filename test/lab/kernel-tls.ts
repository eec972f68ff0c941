/**
 * Channels over kernel TLS (Documentation/networking/tls.rst), whose sends cannot be asked for
 * without copies. Prints as JSON how a write ended in each mode; ADDR takes one connection each.
 *
 *   bun test/lab/kernel-tls.ts ADDR
 */
import { library } from "../../ffi/library.ts";
import { Channel, connect, parseAddress, WriteError } from "../../src/index.ts";
import { printResult } from "../../src/print.ts";

const [address = ""] = process.argv.slice(2);
const solTcp = 6;
const tcpUlp = 31;
const solTls = 282;
const tlsTx = 1;
/** struct tls12_crypto_info_aes_gcm_128: TLS 1.2, TLS_CIPHER_AES_GCM_128, then 36 bytes of keys. */
const cryptoInfo = new Uint8Array(40);
new Uint16Array(cryptoInfo.buffer).set([0x0303, 51]);

const results: Record<string, unknown> = {};
for (const mode of ["auto", "msg-zerocopy", "io-uring"] as const) results[mode] = await write(mode);
printResult(JSON.stringify(results));
process.exit(0);

async function write(mode: "auto" | "msg-zerocopy" | "io-uring") {
  const connection = await connect(parseAddress(address), { retryMs: 30_000 });
  set(connection.fd, solTcp, tcpUlp, new TextEncoder().encode("tls"));
  set(connection.fd, solTls, tlsTx, cryptoInfo);
  await using channel = new Channel(connection, { mode });
  try {
    const { bytes, copied } = await channel.write(new Uint8Array(100_000));
    return { bytes, copied };
  } catch (error) {
    if (!(error instanceof WriteError)) throw error;
    return { code: error.code, errno: error.errnoName, given: error.buffers[0]?.length };
  }
}

function set(fd: number, level: number, option: number, value: Uint8Array): void {
  const result = library().zc_socket_set(fd, level, option, value, value.length);
  if (result < 0) throw new Error(`setsockopt ${level} ${option}: errno ${-result}`);
}
