/** A socket inherited as descriptor N. */
import { parseNumber, type TransportGrammar } from "./grammar.ts";

export interface FdAddress {
  readonly transport: "fd";
  readonly fd: number;
}

/** The default of fs.nr_open, less one. */
const fdMax = 1_048_575;

export const fd: TransportGrammar<FdAddress> = {
  example: "fd:3",
  parse(rest, wrong) {
    return {
      transport: "fd",
      fd: parseNumber(rest, "descriptor", fdMax, wrong),
    };
  },
  format(address) {
    return `${address.fd}`;
  },
};
