/** Guest memory that the client alone can reach: it is asked. */
import { constants } from "node:os";
import { ZcError } from "../../errors.ts";
import { type Connection, closeAll } from "../connection.ts";
import type { CommandName } from "../protocol/commands.ts";
import { decodeDmaAccess, decodeDmaData, encodeDmaAccess, encodeDmaData } from "../protocol/dma.ts";
import { Malformed } from "../protocol/malformed.ts";
import { Refusal } from "../refusal.ts";

const { EINVAL, ENOTCONN } = constants.errno;

/** The messages go over `connection`, with no more data than the client takes. */
export class DmaMessages {
  readonly #connection: Connection;
  readonly #dataSizeMax: number;

  constructor(connection: Connection, dataSizeMax: number) {
    this.#connection = connection;
    this.#dataSizeMax = dataSizeMax;
  }

  /** Fills the bytes. Throws Refusal with what the client says, or ENOTCONN. */
  async read(address: bigint, bytes: Uint8Array): Promise<void> {
    for (const { addr, piece } of this.#pieces(address, bytes)) {
      const access = { addr, count: BigInt(piece.length) };
      const payload = await this.#ask("DMA_READ", encodeDmaAccess(access));
      const reply = this.#decoded(() => decodeDmaData(payload));
      if (reply.addr !== addr || reply.data.length !== piece.length)
        throw new Refusal(EINVAL, "the client's reply is to another DMA_READ");
      piece.set(reply.data);
    }
  }

  /** Throws likewise. */
  async write(address: bigint, bytes: Uint8Array): Promise<void> {
    for (const { addr, piece } of this.#pieces(address, bytes)) {
      const payload = await this.#ask("DMA_WRITE", encodeDmaData({ addr, data: piece }));
      const reply = this.#decoded(() => decodeDmaAccess(payload));
      if (reply.addr !== addr || reply.count !== BigInt(piece.length))
        throw new Refusal(EINVAL, "the client's reply is to another DMA_WRITE");
    }
  }

  *#pieces(address: bigint, bytes: Uint8Array) {
    for (let at = 0; at < bytes.length; at += this.#dataSizeMax)
      yield { addr: address + BigInt(at), piece: bytes.subarray(at, at + this.#dataSizeMax) };
  }

  async #ask(name: CommandName, payload: Uint8Array): Promise<Uint8Array> {
    try {
      const reply = await this.#connection.request(name, payload);
      closeAll(reply.fds);
      return reply.payload;
    } catch (error) {
      if (!(error instanceof ZcError)) throw error;
      throw new Refusal(
        error.code === "DEVICE" ? (error.errno ?? EINVAL) : ENOTCONN,
        error.message,
      );
    }
  }

  #decoded<T>(decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      if (error instanceof Malformed) throw new Refusal(EINVAL, error.message);
      throw error;
    }
  }
}
