/** Questions that may stay without an answer: drivers tell what they like, a sandbox may have no netlink. */
import { ZcError } from "../errors.ts";
import { GenericNetlink } from "./generic.ts";

/** undefined: not told. */
export function askGeneric<T>(question: (netlink: GenericNetlink) => T): T | undefined {
  return ifTold(() => {
    using netlink = new GenericNetlink();
    return question(netlink);
  });
}

export function ifTold<T>(question: () => T): T | undefined {
  try {
    return question();
  } catch (error) {
    if (error instanceof ZcError) return undefined;
    throw error;
  }
}
