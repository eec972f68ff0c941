/** A request that is not done: what its reply says. */
import { errnoName } from "../errors.ts";

/** Thrown by whoever handles requests. */
export class Refusal extends Error {
  /** Positive. */
  readonly errno: number;
  /** Without the errno. */
  readonly reason: string;
  /** Nothing can follow: the connection is closed once the reply is out. */
  readonly ends: boolean;

  /** `reason` is for who looks on; the peer gets the number alone. */
  constructor(errno: number, reason: string, { ends = false }: { ends?: boolean } = {}) {
    super(`${reason}: ${errnoName(errno)}`);
    this.name = "Refusal";
    this.errno = errno;
    this.reason = reason;
    this.ends = ends;
  }
}
