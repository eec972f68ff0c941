/**
 * A virtual machine under QEMU's emulation, with a kernel of its own and this machine's files: the
 * root is read-only over 9p with memory above it, so the checkout, node_modules and the compiled
 * library are where they are here, and nothing that a command writes survives. /dev/shm is empty.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { libraryPath } from "../../ffi/compile.ts";
import { type Program, qemu } from "../peers/machine.ts";
import { scratch } from "../support/scratch.ts";
import { findVhostDeviceVsock, type Kernel } from "./kernels.ts";

export interface GuestOptions {
  readonly kernel: Kernel;
  /** A network card; the two guests that name the same socket are joined. */
  readonly network?: {
    readonly socket: string;
    readonly listens: boolean;
    readonly address: string;
  };
  /** A network card that spreads by RSS, on no wire. */
  readonly rss?: boolean;
  /** A device of a vfio-user server that listens on this socket; QEMU 10.1 and newer. */
  readonly vfioUserSocket?: string;
  /** Instead of this machine's QEMU. */
  readonly program?: Program;
  /** A vsock device; the host reaches the guest through `vsockSocket`. */
  readonly vsockCid?: number;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

const bootMsMax = 60_000;
/** Emulated guests panic now and then, at random. */
const bootAttempts = 3;
const memoryMiB = 2048;
const checkout = join(import.meta.dirname, "..", "..");

export class Guest {
  /** `uname -r` */
  readonly release: string;
  /** Where the hybrid protocol reaches this guest's vsock ports. */
  readonly vsockSocket: string;
  readonly #machine: Machine;
  readonly #waiting = new Map<string, (code: number) => void>();
  #nextId = 0;

  private constructor(machine: Machine, release: string) {
    this.#machine = machine;
    this.release = release;
    this.vsockSocket = machine.vsockSocket;
    machine.lines.on("line", (line: string) => {
      const [, id = "", code] = /^done (\S+) (\d+)$/.exec(line) ?? [];
      this.#waiting.get(id)?.(Number(code));
    });
  }

  static async boot(options: GuestOptions): Promise<Guest> {
    libraryPath(); // compiled here, and not by the guest, which is slow
    for (let attempt = 1; ; attempt++) {
      const machine = new Machine();
      try {
        await machine.start(options);
        return new Guest(machine, await machine.ready());
      } catch (error) {
        await machine.stop();
        if (attempt === bootAttempts) throw error;
      }
    }
  }

  /** Runs a command with bash, in the checkout. Several may run at once. */
  async run(command: string): Promise<CommandResult> {
    const id = `${this.#nextId++}`;
    const file = (kind: string) => join(this.#machine.share, `${id}.${kind}`);
    writeFileSync(file("command"), command);
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#waiting.set(id, resolve);
    this.#machine.control.write(`${id}\n`);
    const code = await Promise.race([promise, this.#machine.died()]);
    this.#waiting.delete(id);
    return {
      code,
      stdout: readFileSync(file("stdout")),
      stderr: readFileSync(file("stderr"), "utf8"),
    };
  }

  async stop(): Promise<void> {
    await this.#machine.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** Two guests on one wire, 10.77.0.1 and 10.77.0.2. */
export class GuestPair {
  readonly one: Guest;
  readonly two: Guest;
  readonly #folder: Disposable;

  private constructor(one: Guest, two: Guest, folder: Disposable) {
    this.one = one;
    this.two = two;
    this.#folder = folder;
  }

  static async boot(kernel: Kernel): Promise<GuestPair> {
    const folder = scratch();
    const socket = folder.file("wire");
    const network = (listens: boolean, address: string) => ({ socket, listens, address });
    const one = await Guest.boot({ kernel, network: network(true, "10.77.0.1/24") });
    const two = await Guest.boot({ kernel, network: network(false, "10.77.0.2/24") });
    return new GuestPair(one, two, folder);
  }

  async stop(): Promise<void> {
    await Promise.all([this.one.stop(), this.two.stop()]);
    this.#folder[Symbol.dispose]();
  }
}

/** QEMU, its folder, and the device beside it. */
class Machine {
  readonly share: string;
  readonly vsockSocket: string;
  readonly #folder: string;
  readonly #children: ChildProcess[] = [];
  #died!: Promise<never>;
  control!: Socket;
  lines!: ReturnType<typeof createInterface>;

  constructor() {
    this.#folder = mkdtempSync("/dev/shm/zc-lab-");
    this.share = join(this.#folder, "share");
    this.vsockSocket = join(this.#folder, "vsock");
    mkdirSync(this.share);
    writeFileSync(join(this.share, "environment"), environment());
  }

  /** Once; whatever comes of it, `stop` is for afterwards. */
  async start(options: GuestOptions): Promise<void> {
    if (options.vsockCid !== undefined) await this.#startVsock(options.vsockCid);
    const { command, env } = options.program ?? { command: [qemu] };
    const [program, ...first] = command;
    const emulator = this.#spawn(program, [...first, ...this.#arguments(options)], env);
    this.#died = once(emulator, "exit").then(() => {
      throw new Error(`the guest ended: ${this.#console()}`);
    });
    this.#died.catch(() => {}); // it matters only to those who wait
    const control = connectTo(join(this.#folder, "control"));
    this.control = await Promise.race([control, this.#died]);
    this.lines = createInterface({ input: this.control });
  }

  /** The kernel's release, once the agent speaks. */
  async ready(): Promise<string> {
    const late = AbortSignal.timeout(bootMsMax);
    const spoken = once(this.lines, "line", { signal: late }).catch(() => {
      throw new Error(`the guest did not boot within ${bootMsMax} ms: ${this.#console()}`);
    });
    const [line] = await Promise.race([spoken, this.died()]);
    return /^ready (\S+)$/.exec(line)?.[1] ?? "";
  }

  /** Rejects when QEMU ends. */
  died(): Promise<never> {
    return this.#died;
  }

  async stop(): Promise<void> {
    this.lines?.close();
    this.control?.destroy();
    for (const child of this.#children.filter(
      ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
    )) {
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #arguments({ kernel, network, rss, vsockCid, vfioUserSocket }: GuestOptions): string[] {
    const settings = [`zc.agent=${join(import.meta.dirname, "agent")}`];
    const devices: string[] = [];
    if (network !== undefined) {
      const { socket, listens, address } = network;
      const server = `server=${listens ? "on" : "off"}`;
      devices.push("-netdev", `stream,id=n0,${server},addr.type=unix,addr.path=${socket}`);
      // virtio's card cannot sum over this wire, and what the kernel has to sum itself it copies
      // first (skb_checksum_help): this one can.
      devices.push("-device", `e1000e,netdev=n0,mac=52:54:00:00:00:0${listens ? 1 : 2}`);
      settings.push(`zc.address=${address}`);
    }
    if (rss) devices.push("-device", "virtio-net-pci,rss=on,mac=52:54:00:00:00:03");
    if (vsockCid !== undefined || vfioUserSocket !== undefined) {
      devices.push("-object", `memory-backend-memfd,id=mem0,size=${memoryMiB}M,share=on`);
      devices.push("-machine", "memory-backend=mem0");
    }
    if (vfioUserSocket !== undefined) devices.push("-device", vfioUserDevice(vfioUserSocket));
    if (vsockCid !== undefined) {
      devices.push("-chardev", `socket,id=vsock,path=${join(this.#folder, "vhost")}`);
      devices.push("-device", "vhost-user-vsock-pci,chardev=vsock");
    }
    const control = `socket,id=control,path=${join(this.#folder, "control")},server=on,wait=off`;
    const host = "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap";
    return [
      ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
      ...["-machine", "q35,accel=tcg", "-cpu", "max", "-smp", "2", "-m", `${memoryMiB}`],
      ...["-kernel", kernel.image, "-initrd", kernel.initramfs],
      ...["-append", `console=ttyS0 quiet panic=-1 mitigations=off ${settings.join(" ")}`],
      ...["-serial", `file:${join(this.#folder, "console")}`],
      ...["-chardev", control, "-serial", "chardev:control"],
      ...["-virtfs", host],
      ...["-virtfs", `local,path=${this.share},mount_tag=share,security_model=none`],
      ...devices,
    ];
  }

  /** Until it listens: QEMU looks for it once. */
  async #startVsock(cid: number): Promise<void> {
    const program = findVhostDeviceVsock();
    if (program === undefined) throw new Error("vhost-device-vsock could not be fetched");
    const socket = join(this.#folder, "vhost");
    this.#spawn(program, [
      "--vm",
      `guest-cid=${cid},socket=${socket},uds-path=${this.vsockSocket}`,
    ]);
    const deadline = Date.now() + connectMsMax;
    while (!existsSync(socket) && Date.now() < deadline) await pause(connectPauseMs);
  }

  #spawn(program: string, args: readonly string[], env: Program["env"] = {}): ChildProcess {
    const child = spawn(program, args, { stdio: "ignore", env: { ...process.env, ...env } });
    this.#children.push(child);
    return child;
  }

  #console(): string {
    try {
      return readFileSync(join(this.#folder, "console"), "utf8").slice(-2000);
    } catch {
      return "its console said nothing";
    }
  }
}

/** As -device takes it. */
export function vfioUserDevice(path: string): string {
  return JSON.stringify({ driver: "vfio-user-pci", socket: { type: "unix", path } });
}

function environment(): string {
  const names = ["PATH", "HOME", "XDG_CACHE_HOME"];
  const exports = names.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [`export ${name}='${value}'`];
  });
  return [...exports, `cd '${checkout}'`, ""].join("\n");
}

const connectMsMax = 30_000;
const connectPauseMs = 20;

/** QEMU makes the socket a moment after it starts. */
async function connectTo(path: string): Promise<Socket> {
  const deadline = Date.now() + connectMsMax;
  for (;;) {
    const socket = connect(path);
    try {
      await once(socket, "connect");
      return socket;
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await pause(connectPauseMs);
    }
  }
}
