/**
 * `deno task npm`: builds the npm package into npm/ with dnt, or with the `typescript` package
 * where JSR cannot be reached. Both leave the same files: tests/package looks at the result only.
 *
 *     --builder dnt          no second choice: what a release uses
 *     --builder typescript
 *
 * @module
 */

import { copyFile, glob, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { jsrProblem } from "./lib/jsr.ts";
import { must } from "./lib/process.ts";
import { versions } from "./lib/runtimes.ts";

const out = "npm";

/** What both builders put beside their files. */
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
      "./package.json": "./package.json",
    },
    files: ["esm", "types", "CHANGELOG.md"],
    sideEffects: false,
    engines: { node: ">=20.19" },
    peerDependencies: { koffi: `^${versions.koffi}` },
    peerDependenciesMeta: { koffi: { optional: true } },
  };
}

async function buildWithDnt(): Promise<void> {
  // Not a literal: the type checker would fetch it, also where JSR cannot be reached.
  const dnt: string = "@deno/dnt";
  const { build } = await import(dnt);
  await build({
    entryPoints: ["./mod.ts"],
    outDir: `./${out}`,
    // The real `Deno` is used: there is nothing to replace.
    shims: {},
    esModule: true,
    scriptModule: false,
    declaration: "separate",
    declarationMap: false,
    skipSourceOutput: true,
    // `deno task check` has done both, with two type checkers.
    typeCheck: false,
    test: false,
    // There is no dependency to install.
    skipNpmInstall: true,
    compilerOptions: {
      target: "ES2022",
      lib: ["ESNext", "DOM", "DOM.Iterable"],
      noUncheckedIndexedAccess: true,
    },
    package: await packageJson(),
  });
  // npm goes by "files" in package.json, and the root's "type" holds for esm/.
  for (const file of [".npmignore", "esm/package.json"]) {
    await rm(`${out}/${file}`, { force: true });
  }
  await removePolyfill();
}

/**
 * Where `import.meta` stands, dnt 0.42 puts a call of a polyfill that it hangs on `globalThis` and
 * that imports node:module, node:path and node:url. Every supported runtime has `import.meta`.
 * https://github.com/denoland/dnt/blob/main/rs-lib/src/polyfills/import_meta.rs
 */
async function removePolyfill(): Promise<void> {
  const call = /globalThis\[Symbol\.for\("import-meta-ponyfill-esmodule"\)\]\(import\.meta\)/g;
  for (const file of [...await filesOf("esm", ".js"), ...await filesOf("types", ".d.ts")]) {
    if (/\b_dnt\.polyfills\./.test(file)) {
      await rm(file);
      continue;
    }
    const text = (await readFile(file, "utf8"))
      .replace(/^import "[./]*\/_dnt\.polyfills\.js";\r?\n/gm, "")
      .replace(call, "import.meta");
    if (/_dnt\.|ponyfill/.test(text)) throw new Error(`Cannot build as dnt left a shim in ${file}`);
    await writeFile(file, text);
  }
}

async function buildWithTypeScript(): Promise<void> {
  await must(process.execPath, [
    ...["run", "-A", `npm:typescript@${versions.typescript}/tsc`, "-p", "tsconfig.json"],
    ...["--noEmit", "false", "--allowImportingTsExtensions", "false"],
    ...["--rewriteRelativeImportExtensions", "--rootDir", ".", "--outDir", `${out}/esm`],
    ...["--declarationDir", `${out}/types`],
  ]);
  // Declarations keep ".ts" in their imports, which only newer compilers follow.
  for (const file of await filesOf("types", ".d.ts")) {
    const text = await readFile(file, "utf8");
    await writeFile(file, text.replace(/((?:from |import\()"\.[^"]*)\.ts"/g, '$1.js"'));
  }
}

/** Editors show comments from the declarations; in the scripts nobody reads them. */
async function stripComments(): Promise<void> {
  const { default: ts } = await import(`npm:typescript@${versions.typescript}`);
  const { ESNext } = ts.ScriptTarget;
  const compilerOptions = { removeComments: true, target: ESNext, module: ts.ModuleKind.ESNext };
  for (const file of await filesOf("esm", ".js")) {
    const text = await readFile(file, "utf8");
    await writeFile(file, ts.transpileModule(text, { compilerOptions }).outputText);
  }
}

async function filesOf(folder: string, end: string): Promise<string[]> {
  return await Array.fromAsync(glob(`${out}/${folder}/**/*${end}`));
}

/** The builder's name, for those who read the output. */
async function buildWith(builder: string | undefined): Promise<string> {
  const problem = builder === undefined ? await jsrProblem() : undefined;
  if (builder !== "typescript" && problem === undefined) {
    try {
      await buildWithDnt();
      return "dnt";
    } catch (error) {
      if (builder === "dnt") throw error;
      console.log(`note: dnt failed: ${error instanceof Error ? error.message : error}`);
      await rm(out, { recursive: true, force: true });
      await mkdir(out);
    }
  }
  await buildWithTypeScript();
  return `typescript ${versions.typescript}${
    problem ? `, as JSR cannot be reached: ${problem}` : ""
  }`;
}

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { values } = parseArgs({ options: { builder: { type: "string" } } });
await rm(out, { recursive: true, force: true });
await mkdir(out);
const builder = await buildWith(values.builder);
await stripComments();
await writeFile(`${out}/package.json`, JSON.stringify(await packageJson(), null, 2) + "\n");
for (const file of ["README.md", "LICENSE", "CHANGELOG.md"]) {
  await copyFile(file, `${out}/${file}`);
}
let bytes = 0;
const files = await filesOf(".", "");
for (const file of files) bytes += (await stat(file)).isFile() ? (await stat(file)).size : 0;
console.log(`npm/: ${bytes} bytes, built with ${builder}`);
