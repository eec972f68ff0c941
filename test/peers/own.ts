/** Processes and files that belong to one test. */
import { closeSync, openSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { launcher, type Result, type Running, type StartOptions, start } from "../support/zc.ts";

/** Starts a program that does not outlive the test, however that ends. */
export function own(command: string, args: readonly string[], options?: StartOptions): Running {
  const running = start(command, args, options);
  if (running.child.pid === undefined) {
    running.result.catch(() => {});
    throw new Error(`${command} cannot be started: is it installed?`);
  }
  onTestFinished(() => void running.child.kill("SIGKILL"));
  return running;
}

export function ownZc(args: readonly string[], options?: StartOptions): Running {
  return own(launcher, args, options);
}

/** A bash script with its `$1`, `$2`, …; what it starts ends with it. */
export function ownScript(script: string, args: readonly string[]): Running {
  const limit = "60"; // seconds
  // timeout(1) leads a process group, and passes SIGTERM on to all of it.
  const running = start("timeout", [limit, "bash", "-c", script, "bash", ...args]);
  onTestFinished(() => void running.child.kill("SIGTERM"));
  return running;
}

/** A descriptor to give to a process: closed when the test has ended. */
export function ownFile(path: string, flags: "r" | "w"): number {
  const fd = openSync(path, flags);
  onTestFinished(() => closeSync(fd));
  return fd;
}

/** Of two that talk to each other: when one fails, the other is ended too. */
export async function bothResults(one: Running, other: Running): Promise<[Result, Result]> {
  const endWith = async (partner: Running, running: Running) => {
    const result = await running.result;
    if (failure(result) !== "") partner.child.kill("SIGKILL");
    return result;
  };
  return Promise.all([endWith(other, one), endWith(one, other)]);
}

/** Why a process did not succeed; nothing when it did. */
export function failure({ code, stderr }: Result): string {
  return code === 0 ? "" : `exit ${code ?? "by a signal"}: ${stderr}`;
}

const lookMs = 200;

/** Gives a process that should wait the time to end instead. */
export async function stillRuns({ result }: Running): Promise<boolean> {
  return Promise.race([result.then(() => false), pause(lookMs, true)]);
}

/** What cmp(1) has to say: nothing when both files are equal. */
export async function difference(path: string, other: string): Promise<string> {
  const { code, stdout, stderr } = await own("cmp", [path, other]).result;
  return code === 0 ? "" : `${stdout}${stderr}`;
}
