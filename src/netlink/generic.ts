/** Generic netlink: families by name, each with commands of its own (include/uapi/linux/genetlink.h). */
import {
  type Attribute,
  decodeAttributes,
  encodeAttributes,
  malformed,
  numberOf,
  textAttribute,
} from "./message.ts";
import { NetlinkSocket, netlinkProtocol } from "./socket.ts";

const header = 4;
/** GENL_ID_CTRL: tells the numbers of all others. */
const controller = { type: 0x10, getFamily: 3, familyId: 1, familyName: 2 } as const;

export interface GenericQuestion {
  readonly command: number;
  readonly attributes: readonly Attribute[];
  readonly dump?: boolean;
}

export class GenericNetlink implements Disposable {
  readonly #socket = new NetlinkSocket(netlinkProtocol.generic);
  readonly #families = new Map<string, number>();

  /** The attributes of each reply. Throws UNSUPPORTED, with the kernel's errno, or PROTOCOL. */
  ask(family: string, question: GenericQuestion): Attribute[][] {
    return this.#ask(this.#numberOf(family), question);
  }

  #ask(type: number, { command, attributes, dump = false }: GenericQuestion): Attribute[][] {
    const payload = encodeGeneric(command, attributes);
    return this.#socket.ask({ type, payload, dump }).map((reply) => decodeGeneric(reply.payload));
  }

  #numberOf(family: string): number {
    const known = this.#families.get(family);
    if (known !== undefined) return known;
    const [reply = []] = this.#ask(controller.type, {
      command: controller.getFamily,
      attributes: [textAttribute(controller.familyName, family)],
    });
    const number = numberOf(reply, controller.familyId);
    if (number === undefined) throw malformed(`no number of the family ${family}`);
    this.#families.set(family, number);
    return number;
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}

/** A command, version 1, and its attributes. */
export function encodeGeneric(command: number, attributes: readonly Attribute[]): Uint8Array {
  return new Uint8Array([command, 1, 0, 0, ...encodeAttributes(attributes)]);
}

export function decodeGeneric(payload: Uint8Array): Attribute[] {
  if (payload.length < header) throw malformed(`${payload.length} bytes, and no command`);
  return decodeAttributes(payload.subarray(header));
}
