/** test/lab/run [--old] COMMAND…: the command under the newest Debian kernel, or the old one. */
import { Guest } from "./guest.ts";
import { findKernel } from "./kernels.ts";

const [first, ...rest] = process.argv.slice(2);
const kind = first === "--old" ? "old" : "newest";
const words = first === "--old" ? rest : process.argv.slice(2);
const kernel = findKernel(kind);
if (typeof kernel === "string") {
  process.stderr.write(`lab: ${kernel}\n`);
  process.exit(3);
}
const guest = await Guest.boot({ kernel });
process.stderr.write(`lab: Linux ${guest.release}\n`);
const { code, stdout, stderr } = await guest.run(words.join(" "));
process.stdout.write(stdout);
process.stderr.write(stderr);
await guest.stop();
process.exit(code);
