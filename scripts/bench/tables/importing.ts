/**
 * Importing the module in a fresh process: how long, and what it touches.
 *
 * @module
 */

import { execFileSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Importing the module";

const child = fileURLToPath(new URL("../importing.ts", import.meta.url));
const flags = { deno: ["run", "-A", "--no-check"], bun: [], node: ["--no-warnings"] };

export function run({ runtime, rounds }: Tools): Promise<Row[]> {
  // What users of JSR get, and what users of npm get.
  const module = new URL(
    runtime === "deno" ? "../../../mod.ts" : "../../../npm/esm/mod.js",
    import.meta.url,
  ).href;
  const runs = Array.from({ length: rounds(21) + 2 }, () => {
    const args = [...flags[runtime], child, module];
    const output = execFileSync(process.execPath, args, { encoding: "utf8" });
    return JSON.parse(output) as { ms: number; descriptors: number; builtins: number };
  }).slice(2);
  // The same for all; measured once.
  const packed = runtime === "node" ? [packedSize()] : [];
  return Promise.resolve([
    ...packed.map((bytes) => valueRow("npm package, packed", "B", [bytes], { most: 40_000 })),
    valueRow("time", "ms", runs.map(({ ms }) => ms), { most: 5 }),
    valueRow("files and sockets left open", "", runs.map((it) => it.descriptors), { most: 0 }),
    valueRow("runtime modules loaded", "", runs.map((it) => it.builtins), { most: 0 }),
  ]);
}

/** Bytes of the package as npm downloads it. */
function packedSize(): number {
  const cwd = fileURLToPath(new URL("../../../npm", import.meta.url));
  const output = execFileSync("npm", ["pack", "--dry-run", "--json"], {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return JSON.parse(output.slice(output.indexOf("[")))[0].size;
}
