/** A real transfer of one megabyte between two sockets of our own: what all mover probes try. */
import { closeSync, openSync } from "node:fs";
import { type Address, parseAddress } from "../address/index.ts";
import { connect } from "../endpoint/connect.ts";
import type { Connection } from "../endpoint/connection.ts";
import { listen } from "../endpoint/listen.ts";
import type { SocketSettings } from "../endpoint/settings.ts";
import { familyOf } from "../transfer/meet.ts";
import { Move, type MoveCounters } from "../transfer/move.ts";
import { type Mode, plan, type ReceiveMode } from "../transfer/plan.ts";

const trialBytes = 1 << 20;
const trialTimeoutMs = 2000;
/** A regular file that is certainly there and large enough: the runtime itself. */
const trialFile = process.execPath;

/**
 * Moves a megabyte of a file from `address` to `address` by this mode, in calls of `chunk` bytes.
 * Throws ZcError.
 */
export async function tryMode(
  address: Address,
  mode: Mode,
  signal: AbortSignal,
  chunk?: number,
): Promise<{ readonly counters: MoveCounters; readonly seconds: number }> {
  return withPair(address, signal, async (sender, receiver) => {
    const drained = drain(receiver, signal);
    const begin = performance.now();
    try {
      const counters = await sendTrial(sender, mode, trialBytes, signal, chunk);
      return { counters, seconds: (performance.now() - begin) / 1e3 };
    } finally {
      sender.close();
      await drained;
    }
  });
}

/** Sends the first `bytes` of the trial's file. Throws ZcError. */
export async function sendTrial(
  sender: Connection,
  mode: Mode,
  bytes: number,
  signal: AbortSignal,
  chunk?: number,
): Promise<MoveCounters> {
  const fd = openSync(trialFile, "r");
  try {
    const move = new Move({
      source: { fd, name: trialFile, isSocket: false },
      sink: { fd: sender.fd, name: sender.peer, isSocket: true },
      plan: plan({ direction: "send", family: familyOf(sender), local: "file" }, mode),
      limit: bytes,
      chunk,
      idleMs: trialTimeoutMs,
      signal,
    });
    return (await move.run()).counters;
  } finally {
    closeSync(fd);
  }
}

/** Receives a megabyte, sent by msg-zerocopy, by this mode. Throws ZcError. */
export async function tryReceiveMode(
  address: Address,
  mode: ReceiveMode,
  settings: SocketSettings,
  signal: AbortSignal,
): Promise<MoveCounters> {
  return withPair(
    address,
    signal,
    async (sender, receiver) => {
      const sending = sendTrial(sender, "msg-zerocopy", trialBytes, signal);
      const [received, sent] = await Promise.allSettled([
        receiveTrial(receiver, mode, signal),
        sending.finally(() => sender.close()),
      ]);
      if (received.status === "rejected") throw received.reason;
      if (sent.status === "rejected") throw sent.reason;
      return received.value;
    },
    settings,
  );
}

/** Two ends of a connection of our own; both are closed afterwards. */
export async function withPair<T>(
  address: Address,
  signal: AbortSignal,
  action: (connected: Connection, accepted: Connection) => Promise<T>,
  settings: SocketSettings = {},
): Promise<T> {
  const listener = await listen(address, settings);
  const limits = { timeoutMs: trialTimeoutMs, settings, signal };
  try {
    const [connected, accepted] = await Promise.all([
      connect(parseAddress(listener.address), limits),
      listener.accept(limits),
    ]);
    try {
      return await action(connected, accepted);
    } finally {
      connected.close();
      accepted.close();
    }
  } finally {
    listener.close();
  }
}

/** How this ends is not what the trial is about. */
async function drain(receiver: Connection, signal: AbortSignal): Promise<void> {
  await receiveTrial(receiver, "copy", signal).catch(() => {});
}

/** Takes and drops what comes, to its end. Throws ZcError. */
async function receiveTrial(
  receiver: Connection,
  mode: ReceiveMode,
  signal: AbortSignal,
): Promise<MoveCounters> {
  const fd = openSync("/dev/null", "w");
  try {
    const move = new Move({
      source: { fd: receiver.fd, name: receiver.peer, isSocket: true },
      sink: { fd, name: "/dev/null", isSocket: false },
      plan: plan({ direction: "receive", family: familyOf(receiver), local: "null" }, mode),
      idleMs: trialTimeoutMs,
      signal,
    });
    return (await move.run()).counters;
  } finally {
    closeSync(fd);
  }
}
