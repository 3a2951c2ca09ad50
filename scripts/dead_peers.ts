/**
 * Measures what happens when a peer is gone, and writes the table of docs/dead_peers.md and the picture of
 * docs/choosing.md. Needs Linux and root.
 *
 *     deno run -A scripts/dead_peers.ts
 */

import { readFile, writeFile } from "node:fs/promises";
import { arch, cpus, release } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Result } from "../tests/dead_peer/measure.ts";
import { outageRows } from "../tests/dead_peer/outage_rows.ts";
import { rows } from "../tests/dead_peer/rows.ts";
import { timelines } from "./dead_peers/timelines.ts";
import { jsrProblem, stdArgs } from "./lib/jsr.ts";
import { must } from "./lib/process.ts";
import { find, type Runtime } from "./lib/runtimes.ts";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const std = stdArgs(await jsrProblem());
const resolve = new URL("../tests/std/resolve.ts", import.meta.url).href;

async function measure({ name, binary }: Runtime, which: string): Promise<Result[]> {
  const flags = name === "deno" ? ["run", "-A", "--no-check", ...std] : [];
  const script = "tests/dead_peer/programs/print.ts";
  const output = await must(binary, [...flags, script, which], {
    env: { NODE_OPTIONS: name === "node" ? `--import=${resolve} --no-warnings` : undefined },
  });
  return JSON.parse(output.trim().split("\n").at(-1)!) as Result[];
}

function cell({ failure, outcome, ms }: Result): string {
  if (failure !== undefined) return `**${failure}**`;
  const what = outcome.replace(/^(DeadPeer|Socket|Timeout)Error /, "");
  return `${(ms / 1_000).toFixed(2)} s, ${what}`;
}

const runtimes = await Promise.all((["deno", "bun", "node"] as const).map((name) => find(name)));
const all: Result[][] = [];
for (const runtime of runtimes) all.push(await measure(runtime, "rows"));

const columns = runtimes.map(({ name, version }) => `${name} ${version}`);
const table = [
  `| situation | has to happen | ${columns.join(" | ")} |`,
  `| --- | --- | ${columns.map(() => "---").join(" | ")} |`,
  ...[...rows, ...outageRows].map(({ name, expected }) => {
    const cells = all.map((results) => cell(results.find((result) => result.name === name)!));
    return `| ${name} | ${expected} | ${cells.join(" | ")} |`;
  }),
].join("\n");
const machine = `Linux ${release()} ${arch()}, ${cpus().length} cores`;
console.log(`${machine}\n\n${table}`);

const file = "docs/dead_peers.md";
const page = await readFile(file, "utf8");
const [before, after] = [page.indexOf("<!-- table -->"), page.indexOf("<!-- /table -->")];
if (before < 0 || after < 0) throw new Error(`Cannot find the place of the table in ${file}`);
const part = `<!-- table -->\n\nMeasured on ${machine}.\n\n${table}\n\n`;
await writeFile(file, page.slice(0, before) + part + page.slice(after));

const comparison = await measure(runtimes[0]!, "compare");
const picture = "docs/timelines.svg";
await writeFile(picture, timelines(comparison, `${columns[0]}, ${machine}`));
await must(process.execPath, ["fmt", file, picture]);
