/** A machine whose guest counts on its serial port, so that it shows whether it goes on. */
import { writeFileSync } from "node:fs";
import type { Scratch } from "../support/scratch.ts";
import type { Running } from "../support/zc.ts";
import { type Machine, startMachine } from "./machine.ts";

export interface CountingMachine extends Machine {
  /** What the guest has printed here: a number a line, hexadecimal. */
  readonly printed: () => string;
  /** Resolves once the guest has printed so many lines here. */
  readonly untilPrinted: (lines: number) => Promise<void>;
}

/** Where in the guest's memory `filled` is; the BIOS and the guest use none of it. */
export const filledAddress = 64 << 20;

/**
 * Starts one. `filled` is a file that its memory has at `filledAddress`; without, the machine waits
 * for QMP's migrate-incoming.
 */
export async function startCounting(
  folder: Scratch,
  name: string,
  filled?: string,
): Promise<CountingMachine> {
  const floppy = folder.file(`${name}.floppy`);
  writeFileSync(floppy, floppyImage());
  const machine = await startMachine(folder, name, [
    ...["-machine", "pc,accel=tcg", "-m", "256", "-nodefaults", "-display", "none"],
    ...["-serial", "stdio"],
    ...["-drive", `if=floppy,format=raw,readonly=on,file=${floppy}`, "-boot", "a"],
    ...(filled === undefined
      ? ["-incoming", "defer"]
      : ["-device", `loader,file=${filled},addr=${filledAddress},force-raw=on`]),
  ]);
  return { ...machine, ...watchSerial(machine.process) };
}

function watchSerial({ child, result, notes }: Running) {
  let text = "";
  const watchers = new Set<() => void>();
  child.stdout?.on("data", (data: Buffer) => {
    text += data.toString();
    for (const watcher of watchers) watcher();
  });
  const untilPrinted = async (lines: number) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (text.split("\n").length > lines) resolve();
    };
    watchers.add(look);
    look();
    const ended = result.then(() => {
      throw new Error(`QEMU ended: ${notes()}`);
    });
    await Promise.race([promise, ended]);
    watchers.delete(look);
  };
  return { printed: () => text, untilPrinted };
}

const floppySize = 1440 << 10;

function floppyImage(): Buffer {
  const image = Buffer.alloc(floppySize);
  Buffer.from(counter).copy(image);
  image.writeUInt16LE(bootSignature, bootSignatureAt);
  return image;
}

const bootSignature = 0xaa55;
const bootSignatureAt = 510;

/** At each tick of the BIOS timer, 18 a second, it prints the next number. Loaded at 0x7c00. */
// biome-ignore format: a line an instruction
const counter = [
  0x31, 0xc0,             // 00         xor  ax, ax
  0x8e, 0xd8,             // 02         mov  ds, ax
  0x8e, 0xd0,             // 04         mov  ss, ax
  0xbc, 0x00, 0x7c,       // 06         mov  sp, 0x7c00
  0xfb,                   // 09         sti
  0xa3, 0x00, 0x7e,       // 0a         mov  [0x7e00], ax
  0xf4,                   // 0d next:   hlt
  0xff, 0x06, 0x00, 0x7e, // 0e         inc  word [0x7e00]
  0x8b, 0x1e, 0x00, 0x7e, // 12         mov  bx, [0x7e00]
  0xb9, 0x04, 0x00,       // 16         mov  cx, 4
  0xc1, 0xc3, 0x04,       // 19 digit:  rol  bx, 4
  0x88, 0xd8,             // 1c         mov  al, bl
  0x24, 0x0f,             // 1e         and  al, 0x0f
  0x3c, 0x0a,             // 20         cmp  al, 10
  0x1c, 0x69,             // 22         sbb  al, 0x69
  0x2f,                   // 24         das
  0xe8, 0x09, 0x00,       // 25         call print
  0xe2, 0xef,             // 28         loop digit
  0xb0, 0x0a,             // 2a         mov  al, '\n'
  0xe8, 0x02, 0x00,       // 2c         call print
  0xeb, 0xdc,             // 2f         jmp  next
  0x50,                   // 31 print:  push ax
  0xba, 0xfd, 0x03,       // 32         mov  dx, 0x3fd
  0xec,                   // 35 full:   in   al, dx
  0xa8, 0x20,             // 36         test al, 0x20
  0x74, 0xfb,             // 38         jz   full
  0x58,                   // 3a         pop  ax
  0xba, 0xf8, 0x03,       // 3b         mov  dx, 0x3f8
  0xee,                   // 3e         out  dx, al
  0xc3,                   // 3f         ret
];
