/** The commands. vfio-user specification, "Commands"; the names are without VFIO_USER_. */

export const commands = {
  VERSION: 1,
  DMA_MAP: 2,
  DMA_UNMAP: 3,
  DEVICE_GET_INFO: 4,
  DEVICE_GET_REGION_INFO: 5,
  DEVICE_GET_REGION_IO_FDS: 6,
  DEVICE_GET_IRQ_INFO: 7,
  DEVICE_SET_IRQS: 8,
  REGION_READ: 9,
  REGION_WRITE: 10,
  DMA_READ: 11,
  DMA_WRITE: 12,
  DEVICE_RESET: 13,
  REGION_WRITE_MULTI: 15,
  DEVICE_FEATURE: 16,
  MIG_DATA_READ: 17,
  MIG_DATA_WRITE: 18,
} as const;

export type CommandName = keyof typeof commands;
export type Side = "client" | "server";

/** undefined: the specification has no such command. */
export function commandName(command: number): CommandName | undefined {
  return namesByNumber.get(command);
}

/** Who asks; the other one replies. */
export function senderOf(name: CommandName): Side {
  return name === "DMA_READ" || name === "DMA_WRITE" ? "server" : "client";
}

const namesByNumber = new Map<number, CommandName>(
  Object.entries(commands).map(([name, number]) => [number, name as CommandName]),
);
