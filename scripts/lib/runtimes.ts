/** Finds the three runtimes in their pinned versions, in the PATH or by npm. */

import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import process from "node:process";
import versions from "../versions.json" with { type: "json" };
import { must, run } from "./process.ts";

export { versions };

export interface Runtime {
  name: "deno" | "bun" | "node";
  version: string;
  binary: string;
  /** The emulator that runs `binary`, if the system cannot. */
  through?: string[];
}

export const names: readonly Runtime["name"][] = ["deno", "bun", "node"];

/** The arguments before the name of a script, with which nothing prompts or prints a warning. */
export const flags: Readonly<Record<Runtime["name"], readonly string[]>> = {
  deno: ["run", "-A", "--no-check"],
  bun: [],
  node: ["--no-warnings"],
};

export function findAll(): Promise<Runtime[]> {
  return Promise.all(names.map((name) => find(name)));
}

/** Deno, which runs this script, or Bun or Node. */
export async function find(name: Runtime["name"], version?: string): Promise<Runtime> {
  version ??= versions[name];
  if (name === "deno") {
    const [, running = ""] = navigator.userAgent.split("/");
    if (running !== version) console.log(`note: this is Deno ${running}, ${version} is pinned`);
    return { name, version: running, binary: process.execPath };
  }
  return { name, version, binary: await onPath(name, version) ?? await fromNpm(name, version) };
}

const printPath = ["-p", "process.execPath"];

async function onPath(name: string, version: string): Promise<string | undefined> {
  try {
    const { output } = await run(name, ["--version"], { timeout: 10_000 });
    if (output.trim().replace(/^v/, "") !== version) return undefined;
    return (await must(name, printPath)).trim();
  } catch {
    return undefined;
  }
}

/** Asks npm once for the path and remembers it, since npx takes a second each time. */
async function fromNpm(name: string, version: string): Promise<string> {
  const memory = resolve(".cache", `${name}-${version}.path`);
  const known = await readFile(memory, "utf8").catch(() => undefined);
  if (known !== undefined && await stat(known).catch(() => undefined)) return known;
  const output = await must("npx", ["-y", `${name}@${version}`, ...printPath]);
  const path = output.trim().split("\n").at(-1);
  if (!path) throw new Error(`Cannot find ${name} ${version} through npx:\n${output}`);
  await mkdir(".cache", { recursive: true });
  await writeFile(memory, path);
  return path;
}

/**
 * Without this cache, Node would strip the types of every file in each of hundreds of processes, some of which
 * tests in Deno and Bun start.
 */
export function compileCache(): { NODE_COMPILE_CACHE: string } {
  return { NODE_COMPILE_CACHE: resolve(".cache/node") };
}
