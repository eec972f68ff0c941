/** The C library is compiled once, into a cache that nobody else can write. */
import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type Scratch, scratch } from "../support/scratch.ts";
import { zc } from "../support/zc.ts";

/** A command that loads the library, and ends at once. */
const loads = ["send", "fd:99", "/dev/null"];
const loaded = { code: 2, stderr: expect.stringContaining("EBADF") };

test("compiles into $XDG_CACHE_HOME/zc, and not again", async () => {
  using folder = scratch();
  const env = { XDG_CACHE_HOME: folder.path };
  expect(await zc(loads, { env })).toMatchObject(loaded);
  expect(await zc(loads, { env: { ...env, PATH: withoutCompiler(folder.path) } })).toMatchObject({
    code: 3, // another PATH may mean another compiler: there is none on it
  });
  const [key = ""] = readdirSync(folder.file("zc"));
  expect(readdirSync(folder.file(join("zc", key)))).toEqual(["libzc.so"]);
  const before = readFileSync(folder.file(join("zc", key, "libzc.so")));
  expect(await zc(loads, { env })).toMatchObject(loaded);
  expect(readdirSync(folder.file("zc"))).toEqual([key]);
  expect(readFileSync(folder.file(join("zc", key, "libzc.so"))).equals(before)).toBe(true);
});

test("four processes that start at once do not harm each other", async () => {
  using folder = scratch();
  const env = { XDG_CACHE_HOME: folder.path, CC: hasty(folder) };
  const results = await Promise.all([1, 2, 3, 4].map(() => zc(loads, { env })));
  for (const result of results) expect(result).toMatchObject(loaded);
  const [key = "", ...others] = readdirSync(folder.file("zc"));
  expect(others).toEqual([]);
  expect(readdirSync(folder.file(join("zc", key)))).toEqual(["libzc.so"]);
});

test("no compiler: one line, with the package to install", async () => {
  using folder = scratch();
  const env = { XDG_CACHE_HOME: folder.path, PATH: withoutCompiler(folder.path) };
  const { code, stderr } = await zc(loads, { env });
  expect(code).toBe(3);
  expect(stderr).toMatch(
    /^zc: \[UNSUPPORTED\] .*no C compiler.*cc, gcc, clang.*apt-get install gcc.*\n$/,
  );
});

test("a compiler that fails: one line, and nothing left", async () => {
  using folder = scratch();
  const { code, stderr } = await zc(loads, { env: { XDG_CACHE_HOME: folder.path, CC: "false" } });
  expect(code).toBe(3);
  expect(stderr).toMatch(/^zc: \[UNSUPPORTED\] compile zc's C library .*\n$/);
  const [key = ""] = readdirSync(folder.file("zc"));
  expect(readdirSync(folder.file(join("zc", key)))).toEqual([]);
});

test("$CC is used, and makes a library of its own", async () => {
  using folder = scratch();
  for (const CC of ["gcc", "clang"]) {
    expect(await zc(loads, { env: { XDG_CACHE_HOME: folder.path, CC } })).toMatchObject(loaded);
  }
  expect(readdirSync(folder.file("zc"))).toHaveLength(2);
});

test("a cache that others can write is not trusted", async () => {
  using folder = scratch();
  const env = { XDG_CACHE_HOME: folder.path, CC: hasty(folder) };
  await zc(loads, { env });
  const [key = ""] = readdirSync(folder.file("zc"));
  chmodSync(folder.file(join("zc", key)), 0o777);
  const { code, stderr } = await zc(loads, { env });
  expect(code).toBe(3);
  expect(stderr).toMatch(/not yours alone to write/);
});

test("ZC_LIBRARY names a prebuilt one, which must be made from these sources", async () => {
  using folder = scratch();
  writeFileSync(folder.file("other.c"), "int other;");
  const other = folder.file("other.so");
  expect(Bun.spawnSync(["cc", "-shared", "-o", other, folder.file("other.c")]).exitCode).toBe(0);
  for (const path of [other, folder.file("missing.so")]) {
    const { code, stderr } = await zc(loads, { env: { ZC_LIBRARY: path } });
    expect(code).toBe(3);
    expect(stderr).toMatch(/ZC_LIBRARY must name a library made from these sources/);
  }
});

/** A compiler that does not take the time to optimise. */
function hasty(folder: Scratch): string {
  const path = folder.file("hasty-cc");
  writeFileSync(path, '#!/bin/sh\nexec cc "$@" -O0\n', { mode: 0o755 });
  return path;
}

/** A PATH with what the launcher needs, and no compiler. */
function withoutCompiler(folder: string): string {
  const path = join(folder, "bin");
  Bun.spawnSync(["mkdir", "-p", path]);
  for (const tool of ["readlink", "sh"]) {
    Bun.spawnSync(["ln", "-sf", Bun.which(tool) ?? "", path]);
  }
  return path;
}
