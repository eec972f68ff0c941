/** PATH:PORT, vsock through a VMM's unix socket. The path may contain colons. */
import { parseNumber, splitPort, type TransportGrammar } from "./grammar.ts";
import { assertSocketPath } from "./unix.ts";

export interface VsockUdsAddress {
  readonly transport: "vsock-uds";
  readonly path: string;
  readonly port: number;
}

const portMax = 0xffff_ffff;

export const vsockUds: TransportGrammar<VsockUdsAddress> = {
  example: "vsock-uds:/run/vm.vsock:5000",
  parse(rest, wrong) {
    const [path, port] = splitPort(rest, "PATH:PORT", wrong);
    assertSocketPath(path, wrong);
    return {
      transport: "vsock-uds",
      path,
      port: parseNumber(port, "port", portMax, wrong),
    };
  },
  format({ path, port }) {
    return `${path}:${port}`;
  },
};

/** Where the VMM connects when its guest connects to the host's `port`. */
export function vsockUdsListenPath({ path, port }: { path: string; port: number }): string {
  return `${path}_${port}`;
}
