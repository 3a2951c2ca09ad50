/**
 * The npm package as its users get it: built, packed, installed into an empty project, and there
 * put through the contract tests on every supported runtime.
 *
 * @module
 */

import { cp, glob, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { must } from "./process.ts";
import { find, type Runtime, versions } from "./runtimes.ts";
import { add, type Counts, runSuite } from "./suite.ts";
import { npmInstall, tools } from "./tools.ts";

export async function testPackage(
  timeout: number,
  filter: string,
  target: string,
): Promise<Counts> {
  const root = process.cwd();
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  const node = await find("node");
  const olderNodes: Runtime[] = [];
  for (const version of versions.olderNodes) olderNodes.push(await find("node", version));
  const oldest = await find("node", versions.oldestNode);
  const directory = await mkdtemp(join(tmpdir(), "holdfast-package-"));
  try {
    const built = join(directory, "npm");
    const build = ["run", "-A", "scripts/build_npm.ts", "--out", built];
    console.log(`\n${(await must(process.execPath, build)).trim()}`);
    const project = join(directory, "project");
    const tarball = await install(built, project);

    const own = await tests(root, "tests/package/*_test.ts", filter);
    if (own.length > 0 && target === "") {
      const nodes = [oldest, ...olderNodes, node].map(({ binary }) => binary);
      add(
        total,
        await runSuite(node, {
          label: "package",
          files: own,
          cwd: root,
          denoArgs: [],
          nodeImports: [new URL("../../tests/std/resolve.ts", import.meta.url).href],
          timeout,
          env: {
            HOLDFAST_PACKAGE: JSON.stringify({ project, tarball, tools: await tools(), nodes }),
          },
        }),
      );
    }

    const files = await tests(project, "tests/contract/*_test.ts", filter);
    if (files.length === 0) return total;
    const suite = async (runtime: Runtime, addition = "") => {
      const label = `package, ${runtime.name} ${runtime.version}${addition}`;
      if (!label.includes(target)) return;
      const old = runtime.name === "node" && Number.parseInt(runtime.version) < 22;
      const counts = await runSuite(runtime, {
        label,
        files,
        cwd: project,
        denoArgs: [],
        nodeImports: old ? [new URL("../../tests/package/load_ts.mjs", import.meta.url).href] : [],
        timeout,
      });
      add(total, counts);
    };
    for (const runtime of [await find("deno"), await find("bun"), node]) await suite(runtime);
    for (const runtime of olderNodes) await suite(runtime, " without koffi");
    await npmInstall(project, `koffi@${versions.koffi}`);
    for (const runtime of olderNodes) await suite(runtime, " with koffi");
    return total;
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Packs what was built, installs it into an empty project, copies the tests there. */
async function install(built: string, project: string): Promise<string> {
  const output = await must("npm", ["pack", "--json", "--loglevel=error"], { cwd: built });
  const [{ filename, size }] = JSON.parse(output.slice(output.indexOf("[")));
  console.log(`packed: ${size} bytes`);
  const tarball = join(built, filename);
  await npmInstall(project, tarball);
  // Deno imports it as its users do, by an npm: specifier.
  await writeFile(
    join(project, "deno.json"),
    JSON.stringify({
      nodeModulesDir: "manual",
      imports: { "@holdfast/tcp": `npm:@holdfast/tcp@${await version()}` },
    }),
  );

  for (const folder of ["contract", "support"]) {
    await cp(join("tests", folder), join(project, "tests", folder), { recursive: true });
  }
  for (const name of ["assert", "net"]) {
    // Not the project's own node_modules: npm removes there what it did not install.
    const folder = join(project, "tests", "node_modules", "@std", name);
    await mkdir(folder, { recursive: true });
    const manifest = {
      name: `@std/${name}`,
      version: "0.0.0",
      type: "module",
      exports: "./mod.js",
    };
    await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
    await cp(join("tests", "std", `${name}.ts`), join(folder, "mod.js"));
  }
  const typed = [
    ...await Array.fromAsync(glob(`${project}/tests/**/*.ts`)),
    ...await Array.fromAsync(glob(`${project}/tests/node_modules/@std/*/mod.js`)),
  ];
  const esbuild = join(await tools(), "node_modules", "esbuild");
  await must("node", ["-e", toJavaScript, esbuild, ...typed]);
  return tarball;
}

/** The version that is built. */
async function version(): Promise<string> {
  return (JSON.parse(await readFile("deno.json", "utf8")) as { version: string }).version;
}

/** In place: Node 20 knows no types, and before 24 there is no `using`. */
const toJavaScript = `
const { readFileSync, writeFileSync } = require("node:fs");
const [esbuild, ...files] = process.argv.slice(1);
const { transformSync } = require(esbuild);
for (const file of files) {
  const options = { loader: "ts", target: "es2022", format: "esm", sourcemap: "inline" };
  writeFileSync(file, transformSync(readFileSync(file, "utf8"), options).code);
}`;

async function tests(cwd: string, pattern: string, filter: string): Promise<string[]> {
  return (await Array.fromAsync(glob(pattern, { cwd })))
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => file.includes(filter))
    .sort();
}
