/** Networks that peers and zc meet in. */
import { onTestFinished } from "vitest";
import { start } from "../support/zc.ts";
import { isCi } from "./installed.ts";

/** Makes a command run in a network. */
export type Network = (command: string, args: readonly string[]) => [string, readonly string[]];

export const thisNetwork: Network = (command, args) => [command, args];

/** A loopback interface of its own, for peers that would listen on every interface. */
export async function privateNetwork(): Promise<Network> {
  const holder = start(
    "unshare",
    [...namespaces, "sh", "-c", `${loopback} && echo up >&2 && exec cat`],
    { stdin: "pipe" },
  );
  onTestFinished(() => void holder.child.kill("SIGKILL"));
  await holder.note(/up/);
  const enter = [`--target=${holder.child.pid}`, "--user", "--net", "--preserve-credentials"];
  return (command, args) => ["nsenter", [...enter, command, ...args]];
}

/** Containers may forbid it. */
export function isPrivateNetworkAbsent(): boolean {
  return !isCi && Bun.spawnSync(["unshare", ...namespaces, "sh", "-c", loopback]).exitCode !== 0;
}

const namespaces = ["--map-root-user", "--net"];
const loopback = "ip link set lo up";
