/** Runs zc as a user does: the launcher, in a process of its own. */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { join } from "node:path";

export const root = join(import.meta.dirname, "..", "..");
export const launcher = join(root, "src", "zc");

export interface Result {
  /** undefined when a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly result: Promise<Result>;
  /** What stderr says so far. */
  readonly notes: () => string;
  /** Resolves with the match once stderr has it; rejects when the process ends without. */
  readonly note: (pattern: RegExp) => Promise<RegExpExecArray>;
}

/** Starts any program; its stdin is empty unless `stdin` says otherwise. */
export function start(
  command: string,
  args: readonly string[],
  { stdin = "ignore", stdout = "pipe", env }: StartOptions = {},
): Running {
  const options: SpawnOptions = {
    stdio: [stdin, stdout, "pipe"],
    env: { ...process.env, ...env },
  };
  const child = spawn(command, args, options);
  const out: Buffer[] = [];
  let notes = "";
  const listeners = new Set<() => void>();
  child.stdout?.on("data", (data: Buffer) => out.push(data));
  child.stderr?.on("data", (data: Buffer) => {
    notes += data.toString();
    for (const listener of listeners) listener();
  });
  const { promise: result, resolve, reject } = Promise.withResolvers<Result>();
  child.on("error", reject);
  child.on("close", (code) => {
    resolve({
      code: code ?? undefined,
      stdout: Buffer.concat(out),
      stderr: notes,
    });
    for (const listener of listeners) listener();
  });
  let ended = false;
  child.on("exit", () => {
    ended = true;
  });
  const note = (pattern: RegExp) =>
    new Promise<RegExpExecArray>((found, lost) => {
      const look = () => {
        const match = pattern.exec(notes);
        if (match === null && !(ended && child.stderr?.readableEnded)) return;
        listeners.delete(look);
        if (match === null) lost(new Error(`${command} never said ${pattern}, but: ${notes}`));
        else found(match);
      };
      listeners.add(look);
      look();
    });
  return { child, result, notes: () => notes, note };
}

export interface StartOptions {
  readonly stdin?: "ignore" | "pipe" | number;
  readonly stdout?: "pipe" | "ignore" | number;
  readonly env?: Record<string, string>;
}

export function startZc(args: readonly string[], options?: StartOptions): Running {
  return start(launcher, args, options);
}

export function zc(args: readonly string[], options?: StartOptions): Promise<Result> {
  return startZc(args, options).result;
}

/** A receiver (or a listening sender), and the address that it listens on. */
export async function listening(
  args: readonly string[],
  options?: StartOptions,
): Promise<Running & { address: string }> {
  const running = startZc(args, options);
  const match = await running.note(/listening on (\S+)/);
  return { ...running, address: match[1] ?? "" };
}
