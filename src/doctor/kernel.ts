/** Probes of kernel facilities that no mover uses, or that others depend on. */
import { library } from "../../ffi/library.ts";
import { ownAddress } from "../endpoint/own-address.ts";
import { level, setText } from "../endpoint/socket.ts";
import { vsockSendMax } from "../endpoint/vsock-completions.ts";
import { errnoName } from "../errors.ts";
import { formatSize } from "../units.ts";
import type { Finding, Probe } from "./finding.ts";
import { withPair } from "./trial.ts";

type Result = Omit<Finding, "feature">;

const tcpUlp = 31;
const cidHost = 2;
const cidAny = 0xffffffff;

export const kernelProbes: readonly Probe[] = [
  { feature: "kernel TLS", run: tryKernelTls },
  { feature: "vsock", run: async () => tryVsock() },
  { feature: "vsock completions", run: async () => judgeVsockCompletions() },
];

async function tryKernelTls(signal: AbortSignal): Promise<Result> {
  return withPair(ownAddress("tcp"), signal, async ({ fd }) => {
    const result = setText(fd, level.tcp, tcpUlp, "tls");
    return result < 0
      ? missing(result, "modprobe tls")
      : { verdict: "works", detail: "a TCP socket takes it" };
  });
}

function tryVsock(): Result {
  const cid = Number(library().zc_vsock_local_cid());
  if (cid < 0) return missing(cid, "modprobe vsock, and a virtual machine's transport");
  if (cid > cidHost && cid < cidAny) return { verdict: "works", detail: `a guest, CID ${cid}` };
  if (cid === cidHost) return { verdict: "works", detail: "a host, CID 2" };
  return {
    verdict: "missing",
    detail: "no transport is loaded",
    mend: "modprobe vhost_vsock (host), vsock_loopback",
  };
}

/** By the version: what goes wrong shows only under memory pressure. */
function judgeVsockCompletions(): Result {
  const max = vsockSendMax();
  if (max === undefined) return { verdict: "works", detail: "told when a whole send is through" };
  return {
    verdict: "copies",
    detail: `this kernel may tell too early of sends over ${formatSize(max)} (CVE-2026-53365); zc keeps below`,
    mend: "Linux 6.12.97, 6.18.34, 7.0.11 or newer",
  };
}

function missing(result: number, mend: string): Result {
  return { verdict: "missing", detail: errnoName(-result), mend };
}
