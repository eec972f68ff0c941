/**
 * The greeting of a VMM's unix socket that stands for its guest's vsock ports: `CONNECT port`, then
 * `OK port` (Firecracker docs/vsock.md; Cloud Hypervisor and vhost-device-vsock do the same).
 */
import { writeSync } from "node:fs";
import { printable, ZcError } from "../errors.ts";
import { readSome } from "./read.ts";
import type { GreetLimits } from "./transports.ts";

/** As Firecracker reads no more of a command either. */
const replyMax = 32;

/** Throws CONNECT when the guest does not listen, PROTOCOL when this is no such multiplexer. */
export async function greetVsockMultiplexer(
  fd: number,
  port: number,
  limits: GreetLimits,
): Promise<void> {
  writeSync(fd, `CONNECT ${port}\n`);
  const reply = await readLine(fd, limits);
  if (/^OK \d+$/.test(reply)) return;
  throw new ZcError({
    code: "PROTOCOL",
    operation: "connect",
    subject: `vsock port ${port}`,
    reason: `the unix socket answered "${printable(reply)}", not "OK ${port}"`,
    hint: "is it a virtual machine monitor's vsock socket?",
  });
}

/** A byte at a time: what follows the line belongs to the stream. */
async function readLine(fd: number, { timeoutMs, signal }: GreetLimits): Promise<string> {
  const byte = new Uint8Array(1);
  const deadline = Date.now() + timeoutMs;
  let line = "";
  while (line.length < replyMax) {
    const left = Math.max(0, deadline - Date.now());
    const got = await readSome(fd, byte, { timeoutMs: left, signal });
    if (got === undefined) throw refused("TIMEOUT", "no answer in time", "is the guest running?");
    if (got === 0) {
      const hint = "does anything listen on that port in the guest?";
      throw refused("CONNECT", "closed without an answer", hint);
    }
    const character = String.fromCharCode(byte[0] ?? 0);
    if (character === "\n") return line;
    line += character;
  }
  return line;
}

function refused(code: "CONNECT" | "TIMEOUT", reason: string, hint: string): ZcError {
  return new ZcError({
    code,
    operation: "connect",
    subject: "vsock through unix socket",
    reason,
    hint,
  });
}
