/** SIGINT, SIGTERM and SIGHUP end what runs, in order. */
import { constants } from "node:os";

const ending = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** The reason that an aborted signal carries. */
export class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: (typeof ending)[number]) {
    super(`ended by ${signal}`);
    this.name = "Interrupted";
    this.exitCode = 128 + constants.signals[signal];
  }
}

/** Runs `action` with a signal that aborts when the process is asked to end. */
export async function interruptible<T>(action: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const handlers = ending.map(
    (name) => [name, () => controller.abort(new Interrupted(name))] as const,
  );
  for (const [name, handler] of handlers) process.on(name, handler);
  try {
    return await action(controller.signal);
  } finally {
    for (const [name, handler] of handlers) process.off(name, handler);
  }
}
