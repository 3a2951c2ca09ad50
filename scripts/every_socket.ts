/**
 * `deno task every-socket`: measures how connections of hidden sockets end when the peer's machine
 * vanishes, without and with a guard, and writes the table of docs/every_socket.md. Needs Linux and root,
 * and takes about five minutes.
 *
 *     --limit MS     how long to wait without a guard, 60,000 by default
 */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { HiddenResult } from "../tests/recipes/hidden.ts";
import { machine } from "./lib/machine.ts";
import { fill, table } from "./lib/markdown.ts";
import { resultsOf } from "./lib/measuring.ts";
import { must } from "./lib/process.ts";
import { findAll } from "./lib/runtimes.ts";
import { clients } from "./lib/tools.ts";

const { values } = parseArgs({ options: { limit: { type: "string", default: "60000" } } });
process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const limit = Number(values.limit);
const command: [string, string] = ["tests/recipes/programs/print_hidden.ts", values.limit];
const env = { HOLDFAST_CLIENTS: await clients() };

function cell(result: HiddenResult | undefined): string {
  if (result === undefined) return "";
  const { failure, outcome, ms, situation } = result;
  if (failure !== undefined) return `**${failure}**`;
  if (outcome === "nothing") return `more than ${limit / 1_000} s`;
  if (situation === "slow") return outcome === "answered" ? "answered" : `**${outcome}**`;
  return `${(ms / 1_000).toFixed(1)} s`;
}

const columns: [head: string, situation: HiddenResult["situation"], guarded: boolean][] = [
  ["in flight", "in flight", false],
  ["guarded", "in flight", true],
  ["idle", "idle", false],
  ["guarded", "idle", true],
  ["slow, guarded", "slow", true],
];
const head = ["runtime", "connection of", ...columns.map(([head]) => head)];
const rows: string[][] = [];
for (const runtime of await findAll()) {
  const results = await resultsOf<HiddenResult[]>(runtime, command, env);
  for (const [client, some] of Object.entries(Object.groupBy(results, ({ name }) => name)).sort()) {
    const cells = columns.map(([, situation, guarded]) =>
      cell(some!.find((one) => one.situation === situation && one.guarded === guarded))
    );
    rows.push([`${runtime.name} ${runtime.version}`, `\`${client}\``, ...cells]);
  }
}
const file = "docs/every_socket.md";
const text = `Measured on ${machine()}.\n\n${table(head, rows)}`;
console.log(text);
await fill(file, "table", text);
await must(process.execPath, ["fmt", file]);
