/**
 * c/*.c compiled by the system's compiler, once: into a cache that is keyed by the sources, the
 * compiler and the flags. Two processes that compile at once write the same file twice, whole.
 */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { availableParallelism, homedir } from "node:os";
import { delimiter, join } from "node:path";
import { ZcError } from "../src/errors.ts";

const sourceFolder = join(import.meta.dirname, "..", "c");
const libraryName = "libzc.so";
const compilerFlags = [
  ...["-std=gnu11", "-D_GNU_SOURCE", "-O2", "-fPIC", "-pthread", "-fvisibility=hidden"],
] as const;
const linkerFlags = ["-shared", "-pthread", "-Wl,-z,relro,-z,now"] as const;
/** For who compiles all at once. */
export const libraryFlags = [...compilerFlags, ...linkerFlags] as const;
/** Sources that one run of the compiler gets: as many run at once as there are processors. */
const groupSize = 4;

/** Path of the compiled library: $ZC_LIBRARY, or the cached one, compiled now if it has to be. */
export function libraryPath(environment: NodeJS.ProcessEnv = process.env): string {
  const prebuilt = environment["ZC_LIBRARY"];
  if (prebuilt) return prebuilt;

  const sources = readSources();
  const compiler = findCompiler(environment);
  const cache = cacheFolder(environment);
  const path = join(cache, keyOf(sources, compiler), libraryName);
  if (!existsSync(path)) compile(compiler, [...sources.keys()], path);
  assertOurs(path);
  return path;
}

/** Names and contents of c/, headers too, in a fixed order. */
function readSources(): Map<string, Buffer> {
  const names = readdirSync(sourceFolder).filter((name) => /\.[ch]$/.test(name));
  return new Map(names.sort().map((name) => [name, readFileSync(join(sourceFolder, name))]));
}

function findCompiler(environment: NodeJS.ProcessEnv): string {
  const chosen = environment["CC"];
  const names = chosen ? [chosen] : ["cc", "gcc", "clang"];
  for (const name of names) {
    const path = findProgram(name, environment["PATH"] ?? "");
    if (path !== undefined) return path;
  }
  throw new ZcError({
    code: "UNSUPPORTED",
    operation: "compile zc's C library",
    reason: `no C compiler found (looked for ${names.join(", ")})`,
    hint: compilerHint,
  });
}

const compilerHint =
  "install one: apt-get install gcc libc6-dev, dnf install gcc, apk add gcc musl-dev";

function findProgram(name: string, searchPath: string): string | undefined {
  if (name.includes("/")) return isExecutable(name) ? name : undefined;
  return searchPath
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The compiler is known by its path, size and age: asking for its version costs a process. */
function keyOf(sources: Map<string, Buffer>, compiler: string): string {
  const { size, mtimeMs } = statSync(compiler);
  const hash = new Bun.CryptoHasher("sha256"); // node:crypto takes milliseconds to load
  hash.update(JSON.stringify([compiler, size, mtimeMs, libraryFlags, process.arch]));
  for (const [name, content] of sources)
    hash.update(`\0${name}\0${content.length}\0`).update(content);
  return hash.digest("hex").slice(0, 32);
}

function cacheFolder(environment: NodeJS.ProcessEnv): string {
  return join(environment["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "zc");
}

/** In a folder of its own, which nobody else writes to, and from there to where it belongs. */
function compile(compiler: string, names: readonly string[], path: string): void {
  const folder = `${path}.${process.pid}`;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const sources = names.filter((name) => name.endsWith(".c"));
  const objects = sources.map((name) => name.replace(/c$/, "o"));
  const run = (command: readonly string[], input = "") => {
    const stdin = Buffer.from(input);
    const { success, stderr } = Bun.spawnSync([...command], { cwd: folder, stdin, stderr: "pipe" });
    if (!success) throw refusedBy(compiler, stderr.toString());
  };
  try {
    const groups = ["xargs", "-0", "-n", `${groupSize}`, "-P", `${availableParallelism()}`];
    const paths = sources.map((name) => join(sourceFolder, name));
    run([...groups, compiler, ...compilerFlags, "-c"], paths.join("\0"));
    run([compiler, ...linkerFlags, "-o", libraryName, ...objects]);
    renameSync(join(folder, libraryName), path);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function refusedBy(compiler: string, output: string): ZcError {
  return new ZcError({
    code: "UNSUPPORTED",
    operation: "compile zc's C library",
    subject: compiler,
    reason: firstError(output),
    hint: compilerHint,
  });
}

function firstError(output: string): string {
  const lines = output.split("\n");
  return lines.find((line) => /error/i.test(line)) ?? lines[0] ?? "failed";
}

/** Code that someone else could have put there is not loaded. */
function assertOurs(path: string): void {
  const uid = process.getuid?.() ?? 0;
  for (const part of [path, join(path, "..")]) {
    const { uid: owner, mode } = statSync(part);
    if (owner !== uid || (mode & 0o022) !== 0) {
      throw new ZcError({
        code: "UNSUPPORTED",
        operation: "load",
        subject: part,
        reason: "it is not yours alone to write",
        hint: "remove it, or set XDG_CACHE_HOME to a folder of your own",
      });
    }
  }
}
