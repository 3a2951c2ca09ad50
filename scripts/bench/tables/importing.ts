/** Importing the module in a new process: how long it takes, and what it loads. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
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
    Array.from({ length: rounds(15) + 2 }, () => {
      const args = [...flags, child, module];
      return JSON.parse(execFileSync(program, args, { encoding: "utf8" }));
    }).slice(2);
  // The module as users of JSR and users of npm get it.
  const deno = runtime === "deno";
  const runs = importing(deno ? sources : packed);
  // For comparison: the same in one file, and as many files with nothing in them.
  const single = deno ? [importing(packed)] : [];
  const empty = deno ? withEmptyFiles(loaded(program), importing) : [];
  const time = deno ? "time, the sources as on JSR" : "time";
  // It is the same for all runtimes, so it is measured once.
  const size = runtime === "node" ? [packedSize()] : [];
  return Promise.resolve([
    ...size.map((bytes) => valueRow("npm package, packed", "B", [bytes], { most: 40_000 })),
    valueRow(time, "ms", runs.map(({ ms }) => ms), { most: deno ? 6 : 5 }),
    ...single.map((runs) =>
      valueRow("time, one file: the npm package", "ms", runs.map(({ ms }) => ms))
    ),
    ...empty,
    valueRow("files and sockets left open", "", runs.map((it) => it.descriptors), { most: 0 }),
    valueRow("runtime modules loaded", "", runs.map((it) => it.builtins), { most: 0 }),
  ]);
}

/** How many files importing the sources loads. Files of types only are not among them. */
function loaded(deno: string): number {
  interface Graph {
    modules: { specifier: string; dependencies?: { code?: { specifier: string } }[] }[];
  }
  const output = execFileSync(deno, ["info", "--json", sources], { encoding: "utf8" });
  const { modules }: Graph = JSON.parse(output);
  const files = new Set([sources]);
  for (const file of files) {
    const { dependencies = [] } = modules.find(({ specifier }) => specifier === file)!;
    for (const { code } of dependencies) if (code !== undefined) files.add(code.specifier);
  }
  return files.size;
}

function withEmptyFiles(count: number, importing: (module: string) => Import[]): Row[] {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  try {
    const names = Array.from({ length: count - 1 }, (_, i) => `${i}.ts`);
    for (const name of names) writeFileSync(join(directory, name), "export {};\n");
    const all = join(directory, "all.ts");
    writeFileSync(all, names.map((name) => `import "./${name}";\n`).join(""));
    const runs = importing(pathToFileURL(all).href);
    return [valueRow(`time, ${count} empty files`, "ms", runs.map(({ ms }) => ms))];
  } finally {
    rmSync(directory, { recursive: true });
  }
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
