/** Where the packed and installed package is, and what its tests have in common. */

import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { skip } from "../support/skip.ts";

interface Place {
  /** Where the package is installed. */
  project: string;
  tarball: string;
  /** Where compilers and linters are installed. */
  tools: string;
  /** Every supported Node.js, oldest first. */
  nodes: string[];
}

const { HOLDFAST_PACKAGE } = process.env;
const place: Place = HOLDFAST_PACKAGE === undefined
  ? { project: "", tarball: "", tools: "", nodes: [] }
  : JSON.parse(HOLDFAST_PACKAGE);
export const project: string = place.project;
export const tarball: string = place.tarball;
export const tools: string = place.tools;
export const nodes: string[] = place.nodes;
/** The newest of them. */
export const node: string = nodes.at(-1) ?? "";
/** For tests of the built package. */
export const packaged: { skip: string | false } = skip(
  HOLDFAST_PACKAGE === undefined ? "needs the built package, see scripts/test.ts" : undefined,
);
export const installed: string = join(project, "node_modules/@holdfast/tcp");

/** What a program printed. */
export interface Printed {
  stdout: string;
  stderr: string;
}

/** Runs a program to its end, however it ends. */
export function execute(
  file: string,
  args: string[],
  cwd: string,
  { input = "", ...more }: { input?: string; [variable: string]: string | undefined } = {},
): Promise<Printed & { code: number | null }> {
  const env = { ...process.env, NODE_OPTIONS: "", HOLDFAST_PACKAGE: "", ...more };
  return new Promise((resolve) => {
    const child = execFile(file, args, { cwd, env, timeout: 120_000 }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout: stdout.trim(), stderr: stderr.trim() });
    });
    child.stdin!.end(input);
  });
}

/** Runs a program that has to succeed; its failure shows what it printed. */
export async function run(file: string, args: string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await execute(file, args, cwd, { NODE_NO_WARNINGS: "1" });
  if (code === 0) return stdout;
  const printed = `${stdout}\n${stderr}`.slice(0, 4_000);
  throw new Error(`${file} ${args.join(" ")} failed:\n${printed}`);
}

/** Bundles `entry` into one file, with everything that it imports but koffi. */
export async function bundle(
  entry: string,
  outfile: string,
  format: "esm" | "cjs",
  cwd: string,
): Promise<void> {
  const options = ["--bundle", "--platform=node", "--log-level=error", `--format=${format}`];
  const esbuild = `${tools}/node_modules/esbuild/bin/esbuild`;
  await run(esbuild, [entry, ...options, `--outfile=${outfile}`], cwd);
}

/** Runs a tool of `tools`. */
export async function tool(name: string, args: string[], cwd: string): Promise<string> {
  const path = `${tools}/node_modules/${name}`;
  const { bin } = JSON.parse(await readFile(`${path}/package.json`, "utf8"));
  const file: string = typeof bin === "string" ? bin : Object.values<string>(bin)[0]!;
  return await run(node, [join(path, file), ...args], cwd);
}

/** What `tsconfig.json` says of one program. */
export interface TypeScriptProject {
  compilerOptions: object;
  files: string[];
}

/** What a version of TypeScript says against each of these programs: nothing, if all is well. */
export async function checkTypes(
  projects: TypeScriptProject[],
  directory: string,
  typescript: string = "typescript",
): Promise<string[]> {
  const script = fileURLToPath(new URL("programs/check_types.cjs", import.meta.url));
  const args = [`${tools}/node_modules/${typescript}`, directory, JSON.stringify(projects)];
  return JSON.parse(await run(node, [script, ...args], directory));
}

/** A directory inside the project, so that the package is found from there. */
export async function workshop(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(project, "workshop-"));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

export async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .sort();
}
