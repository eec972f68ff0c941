/** Firmware that is all of a guest: from its reset on it dirties the same pages, for ever. */

/** The pages that it writes to, which nothing else does. */
export const dirtied = { start: 0x20000, end: 0x90000 } as const;

/** 64 KiB, the least that QEMU takes; the machine starts at `resetVector`. */
export function biosImage(): Buffer {
  const image = Buffer.alloc(64 << 10);
  Buffer.from(incrementer).copy(image);
  Buffer.from(toIncrementer).copy(image, resetVector);
  return image;
}

const resetVector = 0xfff0;

// biome-ignore format: a line an instruction
const toIncrementer = [
  0xe9, 0x0d, 0x00,       // fff0        jmp  0
];

/**
 * Two bytes of each page go up by one in each pass. The last page is the first: QEMU sends pages
 * upwards, so that after a postcopy's start each has to be asked for. Between the passes CR4.PSE
 * changes, which means nothing here but that the processor forgets its TLB: QEMU sometimes (7.2:
 * always) misses what an emulated one writes by an entry that it had, and a stream would lack that.
 */
// biome-ignore format: a line an instruction
const incrementer = [
  0xb8, 0x00, 0x8f,       // 00 pass:  mov  ax, 0x8f00
  0x8e, 0xd8,             // 03 page:  mov  ds, ax
  0xfe, 0x06, 0x10, 0x00, // 05        inc  byte [0x10]
  0xfe, 0x06, 0x00, 0x08, // 09        inc  byte [0x800]
  0x2d, 0x00, 0x01,       // 0d        sub  ax, 0x100
  0x3d, 0x00, 0x1f,       // 10        cmp  ax, 0x1f00
  0x75, 0xee,             // 13        jne  page
  0x0f, 0x20, 0xe0,       // 15        mov  eax, cr4
  0x34, 0x10,             // 18        xor  al, 0x10
  0x0f, 0x22, 0xe0,       // 1a        mov  cr4, eax
  0xeb, 0xe1,             // 1d        jmp  pass
];
