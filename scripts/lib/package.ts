/**
 * The npm package as its users get it: built, packed, installed into an empty project, and there
 * put through the contract tests on every supported runtime.
 */

import { cp, glob, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { emulated } from "./emulators.ts";
import { must } from "./process.ts";
import { find, type Runtime, versions } from "./runtimes.ts";
import { inAllVariants, nodeResolver, type Skipped, type Target, testFiles } from "./targets.ts";
import { koffi, npmInstall, tools } from "./tools.ts";

/** The package on every runtime whose label contains `wanted`. */
export async function packageTargets(
  filter: string,
  wanted: string,
): Promise<{ targets: (Target | Skipped)[]; remove(): Promise<void> }> {
  const root = process.cwd();
  const own = await testFiles("tests/package/*_test.ts", filter, root);
  const contracts = (await testFiles("tests/contract/*_test.ts", filter, root)).map(compiledName);
  if (own.length + contracts.length === 0) return { targets: [], remove: () => Promise.resolve() };
  const directory = await mkdtemp(join(tmpdir(), "holdfast-package-"));
  const remove = () => rm(directory, { recursive: true });
  try {
    const built = join(directory, "npm");
    // An import map with dnt, for machines that cannot reach JSR.
    const map = process.env["HOLDFAST_DNT"];
    const dnt = map === undefined ? [] : ["--no-config", "--import-map", map];
    const builder = map === undefined ? [] : ["--builder", "dnt"];
    const build = ["run", "-A", ...dnt, "scripts/build_npm.ts", ...builder, "--out", built];
    const [output, others, deno, bun, node, oldest, ...olderNodes] = await Promise.all([
      must(process.execPath, build),
      emulated(),
      find("deno"),
      find("bun"),
      find("node"),
      find("node", versions.oldestNode),
      ...versions.olderNodes.map((version) => find("node", version)),
    ]);
    console.log(output.trim());
    const project = join(directory, "project");
    const tarball = await install(built, project);

    const contract = (cwd: string, runtime: Runtime, addition = ""): Target => ({
      label: `package, ${runtime.name} ${runtime.version}${addition}`,
      runtime,
      files: contracts,
      cwd,
    });
    const elsewhere = others.map((other): Target | Skipped => {
      const { platform } = other;
      if ("missing" in other) return { label: `package, ${platform}`, reason: other.missing };
      const { runtime, env, files, through } = other;
      const target = contract(project, runtime, ` on ${platform} (${through})`);
      return {
        ...target,
        files: contracts.filter((file) => files.test(file)),
        env,
        elsewhere: { platform, through },
      };
    });
    const withKoffi = async (version: string) => {
      const cwd = join(directory, `koffi-${version}`);
      await cp(project, cwd, { recursive: true });
      await cp(join(await koffi(version), "node_modules"), join(cwd, "node_modules"), {
        recursive: true,
      });
      return cwd;
    };
    const oldKoffi = await withKoffi(versions.oldestKoffi);
    const newKoffi = await withKoffi(versions.koffi);
    const targets: (Target | Skipped)[] = [
      // Not over TLS, which the sources show on the same runtimes.
      ...[deno, bun, node].map((runtime) => contract(project, runtime)),
      ...olderNodes.map((runtime) => contract(project, runtime, " without koffi"))
        .flatMap((target) => inAllVariants(target)),
      // Nor here, since koffi changes nothing about TLS. The oldest Node.js has the oldest koffi.
      ...olderNodes.map((runtime, i) =>
        contract(i === 0 ? oldKoffi : newKoffi, runtime, " with koffi")
      ),
    ];
    targets.push(...elsewhere.filter((one) => "reason" in one || one.files.length > 0));

    if (own.length > 0) {
      const nodes = [oldest, ...olderNodes, node].map(({ binary }) => binary);
      const place = JSON.stringify({ project, tarball, tools: await tools(), nodes });
      targets.unshift({
        label: "package",
        runtime: node,
        files: own,
        cwd: root,
        nodeImports: [nodeResolver],
        env: { HOLDFAST_PACKAGE: place, HOLDFAST_DENO: process.execPath },
      });
    }
    return { targets: targets.filter(({ label }) => label.includes(wanted)), remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Packs the built package, installs it into an empty project, and copies the tests there. */
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
    // Not in the project's own node_modules, where npm removes what it did not install.
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

/** The name that a test file has in the project. */
function compiledName(file: string): string {
  return file.replace(/\.ts$/, ".mjs");
}

/** The version that is built. */
async function version(): Promise<string> {
  return (JSON.parse(await readFile("deno.json", "utf8")) as { version: string }).version;
}

/**
 * Compiles tests, since Node 20 cannot strip types, and before 24 there is no `using`. What they name by
 * `.ts`, such as the programs that they start, is compiled too.
 */
const toJavaScript = `
const { readFileSync, rmSync, writeFileSync } = require("node:fs");
const [esbuild, ...files] = process.argv.slice(1);
const { transformSync } = require(esbuild);
for (const file of files) {
  const options = { loader: "ts", target: "es2022", format: "esm", sourcemap: "inline" };
  const { code } = transformSync(readFileSync(file, "utf8"), options);
  rmSync(file);
  writeFileSync(file.replace(/\\.ts$/, ".mjs"), code.replace(/\\.ts(?=["'])/g, ".mjs"));
}`;
