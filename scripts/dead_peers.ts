/**
 * Measures what happens when a peer is gone, and writes the table of docs/dead_peers.md and the picture of
 * docs/choosing.md. Needs Linux and root.
 *
 *     deno run -A scripts/dead_peers.ts
 */

import { writeFile } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Result } from "../tests/dead_peer/measure.ts";
import { outageRows } from "../tests/dead_peer/outage_rows.ts";
import { rows } from "../tests/dead_peer/rows.ts";
import { timelines } from "./dead_peers/timelines.ts";
import { machine } from "./lib/machine.ts";
import { fill, table } from "./lib/markdown.ts";
import { resultsOf } from "./lib/measuring.ts";
import { must } from "./lib/process.ts";
import { findAll, type Runtime } from "./lib/runtimes.ts";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const measure = (runtime: Runtime, which: string): Promise<Result[]> =>
  resultsOf(runtime, ["tests/dead_peer/programs/print.ts", which]);

function cell({ failure, outcome, ms }: Result): string {
  if (failure !== undefined) return `**${failure}**`;
  const what = outcome.replace(/^(DeadPeer|Socket|Timeout)Error /, "");
  return `${(ms / 1_000).toFixed(2)} s, ${what}`;
}

const runtimes = await findAll();
const all: Result[][] = [];
for (const runtime of runtimes) all.push(await measure(runtime, "rows"));

const columns = runtimes.map(({ name, version }) => `${name} ${version}`);
const lines = [...rows, ...outageRows].map(({ name, expected }) => {
  const cells = all.map((results) => cell(results.find((result) => result.name === name)!));
  return [name, expected, ...cells];
});
const head = ["situation", "has to happen", ...columns];
const text = `Measured on ${machine()}.\n\n${table(head, lines)}`;
console.log(text);
const file = "docs/dead_peers.md";
await fill(file, "table", text);

const comparison = await measure(runtimes[0]!, "compare");
const picture = "docs/timelines.svg";
await writeFile(picture, timelines(comparison, `${columns[0]}, ${machine()}`));
await must(process.execPath, ["fmt", file, picture]);
