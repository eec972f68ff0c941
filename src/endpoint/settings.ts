/** Socket settings that a user asked for, and those that a transport needs to be fast. */
import { family } from "../address/sockaddr.ts";
import { usageError, ZcError } from "../errors.ts";
import { getBytes, getInt, getText, level, option, setInt, setText, setU64 } from "./socket.ts";

export interface SocketSettings {
  /** TCP congestion control, by the kernel's name: net.ipv4.tcp_available_congestion_control. */
  readonly congestion?: string | undefined;
  /** TCP maximum segment size, bytes. */
  readonly mss?: number | undefined;
  /** Bytes. Over vsock the larger of the two is the buffer of both directions. */
  readonly sndbuf?: number | undefined;
  readonly rcvbuf?: number | undefined;
}

export type SettingsOwner = "tcp" | "udp" | "unix" | "vsock";

type Name = keyof SocketSettings;

/** What a user calls it, and what the kernel does: socket(7), tcp(7). */
const kernelOptions: Record<Name, { level: number; option: number; tcpOnly: boolean }> = {
  congestion: { level: level.tcp, option: option.tcpCongestion, tcpOnly: true },
  mss: { level: level.tcp, option: option.tcpMss, tcpOnly: true },
  sndbuf: { level: level.socket, option: option.sendBuffer, tcpOnly: false },
  rcvbuf: { level: level.socket, option: option.receiveBuffer, tcpOnly: false },
};

/** vsock(7) has none of socket(7)'s buffers. A send larger than the peer's free credit is copied. */
const vsockBufferDefault = 1 << 20;

/** Before connect or listen. A setting that the kernel refuses is an error, never passed over. */
export function applySettings(
  fd: number,
  transport: SettingsOwner,
  settings: SocketSettings,
): void {
  for (const [name, value] of given(settings)) {
    if (kernelOptions[name].tcpOnly && transport !== "tcp") {
      throw usageError(`--${name}`, `it is TCP's, and this is ${transport}`);
    }
    if (transport !== "vsock") apply(fd, name, value);
  }
  if (transport === "vsock") applyVsockBuffer(fd, settings);
}

/** What the kernel made of what was asked for: it doubles buffers, and lowers what is too much. */
export function effectiveSettings(
  fd: number,
  settings: SocketSettings,
): Record<string, string | number> {
  const effective = given(settings).map(([name, value]) => {
    const { level: at, option: number } = kernelOptions[name];
    const now = typeof value === "string" ? getText(fd, at, number) : getInt(fd, at, number);
    return [name, now ?? value] as const;
  });
  return Object.fromEntries(effective);
}

/** The socket's send or receive buffer as the kernel has it, or vsock's credit; bytes. */
export function bufferOf(fd: number, domain: number, which: "send" | "receive"): number {
  if (domain !== family.vsock) {
    const name = which === "send" ? option.sendBuffer : option.receiveBuffer;
    return getInt(fd, level.socket, name) ?? 0;
  }
  const bytes = new Uint8Array(8);
  getBytes(fd, level.vsock, option.vsockBufferSize, bytes);
  return Number(new DataView(bytes.buffer).getBigUint64(0, true));
}

function given(settings: SocketSettings): [Name, string | number][] {
  const entries = Object.entries(settings) as [Name, string | number | undefined][];
  return entries.filter((entry): entry is [Name, string | number] => entry[1] !== undefined);
}

function apply(fd: number, name: Name, value: string | number): void {
  const { level: at, option: number } = kernelOptions[name];
  const result =
    typeof value === "string" ? setText(fd, at, number, value) : setInt(fd, at, number, value);
  if (result >= 0) return;
  throw new ZcError({
    code: "UNSUPPORTED",
    operation: "set",
    subject: `--${name} ${value}`,
    errno: -result,
    hint: name === "congestion" ? "see `sysctl net.ipv4.tcp_available_congestion_control`" : "",
  });
}

function applyVsockBuffer(fd: number, { sndbuf, rcvbuf }: SocketSettings): void {
  const size = Math.max(sndbuf ?? 0, rcvbuf ?? 0) || vsockBufferDefault;
  setU64(fd, level.vsock, option.vsockBufferSizeMax, size);
  setU64(fd, level.vsock, option.vsockBufferSize, size);
}
