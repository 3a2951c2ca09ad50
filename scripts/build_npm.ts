/**
 * `deno task npm`: builds the npm package into npm/ with dnt, or with the `typescript` package where JSR
 * cannot be reached. Their output is bundled into one script and one declaration, so that both produce
 * the same files, which tests/package tests.
 *
 *     --builder dnt          no second choice: what a release uses
 *     --builder typescript
 *     --out DIRECTORY        instead of npm/
 */

import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { jsrProblem } from "./lib/jsr.ts";
import { must } from "./lib/process.ts";
import { versions } from "./lib/runtimes.ts";
import { tools } from "./lib/tools.ts";

const { values } = parseArgs({
  options: { builder: { type: "string" }, out: { type: "string", default: "npm" } },
});
process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const out = resolve(values.out);
const emitted = join(out, "emitted");

/** The package.json that both builders write. */
async function packageJson(): Promise<Record<string, unknown>> {
  const { name, version, license } = JSON.parse(await readFile("deno.json", "utf8"));
  return {
    name,
    version,
    description:
      "TCP sockets whose timeouts, address reuse and keepalive mean the same in Deno, Bun and Node.js",
    keywords: ["tcp", "socket", "timeout", "keepalive", "so_reuseaddr", "deno", "bun", "node"],
    license,
    repository: { type: "git", url: "git+https://github.com/holdfast/tcp.git" },
    type: "module",
    main: "./esm/mod.js",
    types: "./types/mod.d.ts",
    exports: {
      ".": { types: "./types/mod.d.ts", default: "./esm/mod.js" },
      "./guard": { types: "./types/guard.d.ts", default: "./esm/guard.js" },
      "./package.json": "./package.json",
    },
    files: ["esm", "types"],
    sideEffects: ["./esm/guard.js"],
    engines: { node: ">=20.19" },
    // Wide, since npm does not install the package beside a koffi that is not in it.
    peerDependencies: { koffi: `>=${versions.oldestKoffi}` },
    peerDependenciesMeta: { koffi: { optional: true } },
  };
}

async function buildWithDnt(): Promise<void> {
  // Not a literal, which the type checker would fetch even where JSR cannot be reached.
  const dnt: string = "@deno/dnt";
  const { build } = await import(dnt);
  await build({
    entryPoints: ["./mod.ts", { name: "./guard", path: "./src/preload.ts" }],
    outDir: emitted,
    // The real `Deno` is used, so it must not be replaced.
    shims: {},
    // No polyfills, as every supported runtime has what they would replace, such as `import.meta`.
    polyfills: false,
    esModule: true,
    scriptModule: false,
    declaration: "separate",
    declarationMap: false,
    skipSourceOutput: true,
    // `deno task check` does both, with two type checkers.
    typeCheck: false,
    test: false,
    // There are no dependencies.
    skipNpmInstall: true,
    compilerOptions: {
      target: "ES2022",
      lib: ["ESNext", "DOM", "DOM.Iterable"],
      noUncheckedIndexedAccess: true,
    },
    package: await packageJson(),
  });
  // npm uses "files" of package.json, and esm/ the "type" of the root.
  for (const file of [".npmignore", "esm/package.json"]) {
    await rm(`${out}/${file}`, { force: true });
  }
}

async function buildWithTypeScript(): Promise<void> {
  await must("node", [
    ...[`${await tools()}/node_modules/typescript/bin/tsc`, "-p", "tsconfig.json"],
    // As with dnt, `deno task check` checks the types.
    ...["--noCheck", "--noEmit", "false", "--allowImportingTsExtensions", "false"],
    ...["--rewriteRelativeImportExtensions", "--rootDir", ".", "--outDir", `${emitted}/esm`],
    ...["--declarationDir", `${emitted}/types`],
  ]);
}

/** The builder's name, for the output. */
async function buildWith(builder: string | undefined): Promise<string> {
  const problem = builder === undefined ? await jsrProblem() : undefined;
  if (builder !== "typescript" && problem === undefined) {
    try {
      await buildWithDnt();
      return "dnt";
    } catch (error) {
      if (builder === "dnt") throw error;
      console.log(`note: dnt failed: ${error instanceof Error ? error.message : error}`);
      await rm(emitted, { recursive: true, force: true });
    }
  }
  await buildWithTypeScript();
  const why = problem === undefined ? "" : `, as JSR cannot be reached: ${problem}`;
  return `typescript ${versions.tools.typescript}${why}`;
}

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
const builder = await buildWith(values.builder);
await must("node", ["scripts/lib/bundle.mjs", emitted, out, await tools()]);
await rm(emitted, { recursive: true });
await writeFile(join(out, "package.json"), JSON.stringify(await packageJson(), null, 2) + "\n");
await copyFile("LICENSE", join(out, "LICENSE"));
// Removes the spaces that align tables, since the page is shown rendered.
const readme = (await readFile("README.md", "utf8"))
  .replace(/^\|.*$/gm, (row) => row.replace(/ +\|/g, " |").replace(/-{4,}/g, "---"));
await writeFile(join(out, "README.md"), readme);
console.log(`npm package built with ${builder}`);
