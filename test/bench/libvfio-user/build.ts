/** What libvfio-user brings to a measurement: a folder that meson made of it, and ninja built. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Library {
  /** The program that serves sixteen pins: SOCKET. */
  readonly gpio: string;
  /** The one that serves so many bytes of memory: SIZE SOCKET. */
  readonly memory: string;
  /** How the compiler was told to optimize it: a build for finding faults is no rival. */
  readonly optimization: string;
}

/** Builds the server that it has no sample of. Throws what the compiler says. */
export function useLibrary(build: string, output: string): Library {
  const command = compileCommand(build);
  const memory = join(output, "libvfio-user-memory");
  const includes = (command.match(/-I\S+/g) ?? []).map((each) => `-I${join(build, each.slice(2))}`);
  const library = join(build, "lib");
  compile(memory, join(import.meta.dirname, "memory.c"), [
    ...[...includes, `-L${library}`, "-lvfio-user", `-Wl,-rpath,${library}`],
  ]);
  return {
    gpio: join(build, "samples", "gpio-pci-idio-16"),
    memory,
    optimization: /-O\S*/.exec(command)?.[0] ?? "no optimization",
  };
}

/** Throws what the compiler says. */
export function compile(program: string, source: string, options: readonly string[] = []): void {
  const command = ["cc", "-O2", "-D_GNU_SOURCE", "-o", program, source, ...options];
  const built = Bun.spawnSync(command);
  if (!built.success) throw new Error(built.stderr.toString());
}

/** Of the sample server: it includes what a device's server does. */
function compileCommand(build: string): string {
  const entries: { file: string; command: string }[] = JSON.parse(
    readFileSync(join(build, "compile_commands.json"), "utf8"),
  );
  const entry = entries.find(({ file }) => file.endsWith("samples/server.c"));
  if (entry === undefined) throw new Error(`${build} is no build of libvfio-user`);
  return entry.command;
}
