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
import { jsrProblem, stdArgs } from "./lib/jsr.ts";
import { machine } from "./lib/machine.ts";
import { fill, table } from "./lib/markdown.ts";
import { must } from "./lib/process.ts";
import { find, type Runtime } from "./lib/runtimes.ts";
import { clients } from "./lib/tools.ts";

const { values } = parseArgs({ options: { limit: { type: "string", default: "60000" } } });
process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const limit = Number(values.limit);
const std = stdArgs(await jsrProblem());
const resolve = new URL("../tests/std/resolve.ts", import.meta.url).href;
const folder = await clients();

async function measure({ name, binary }: Runtime): Promise<HiddenResult[]> {
  const flags = name === "deno" ? ["run", "-A", "--no-check", ...std] : [];
  const script = "tests/recipes/programs/print_hidden.ts";
  const output = await must(binary, [...flags, script, String(limit)], {
    env: {
      HOLDFAST_CLIENTS: folder,
      NODE_OPTIONS: name === "node" ? `--import=${resolve} --no-warnings` : undefined,
    },
  });
  return JSON.parse(output.trim().split("\n").at(-1)!) as HiddenResult[];
}

function cell(result: HiddenResult | undefined): string {
  if (result === undefined) return "";
  const { failure, outcome, ms, situation } = result;
  if (failure !== undefined) return `**${failure}**`;
  if (outcome === "nothing") return `more than ${limit / 1_000} s`;
  if (situation === "slow") return outcome === "answered" ? "answered" : `**${outcome}**`;
  return `${(ms / 1_000).toFixed(1)} s`;
}

const head = [
  "runtime",
  "connection of",
  "in flight",
  "guarded",
  "idle",
  "guarded",
  "slow, guarded",
];
const rows: string[][] = [];
for (const name of ["deno", "bun", "node"] as const) {
  const runtime = await find(name);
  const results = await measure(runtime);
  for (const client of [...new Set(results.map(({ name }) => name))].sort()) {
    const of = (situation: HiddenResult["situation"], guarded: boolean) =>
      cell(
        results.find((result) =>
          result.name === client && result.situation === situation && result.guarded === guarded
        ),
      );
    const cells = [of("in flight", false), of("in flight", true), of("idle", false)];
    cells.push(of("idle", true), of("slow", true));
    rows.push([`${name} ${runtime.version}`, `\`${client}\``, ...cells]);
  }
}
const file = "docs/every_socket.md";
const text = `Measured on ${machine()}.\n\n${table(head, rows)}`;
console.log(text);
await fill(file, "table", text);
await must(process.execPath, ["fmt", file]);
