/** Importing the module in a new process: how long it takes, and what it loads. */

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Importing the module";

const child = fileURLToPath(new URL("../importing.ts", import.meta.url));

const sources = new URL("../../../mod.ts", import.meta.url).href;
const packed = new URL("../../../npm/esm/mod.js", import.meta.url).href;

interface Import {
  ms: number;
  descriptors: number;
  builtins: number;
}

export function run({ runtime, command: [program = "", ...flags], rounds }: Tools): Promise<Row[]> {
  const importing = (module: string): Import[] =>
    Array.from({ length: rounds(21) + 2 }, () => {
      const args = [...flags, child, module];
      return JSON.parse(execFileSync(program, args, { encoding: "utf8" }));
    }).slice(2);
  // The module as users of JSR and users of npm get it.
  const deno = runtime === "deno";
  const runs = importing(deno ? sources : packed);
  // For comparison, the time that the number of files alone takes.
  const single = deno ? [importing(packed)] : [];
  const time = deno ? "time, the sources as on JSR" : "time";
  // It is the same for all runtimes, so it is measured once.
  const size = runtime === "node" ? [packedSize()] : [];
  return Promise.resolve([
    ...size.map((bytes) => valueRow("npm package, packed", "B", [bytes], { most: 40_000 })),
    valueRow(time, "ms", runs.map(({ ms }) => ms), { most: 5 }),
    ...single.map((runs) =>
      valueRow("time, one file: the npm package", "ms", runs.map(({ ms }) => ms))
    ),
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
