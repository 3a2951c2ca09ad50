/**
 * Measures rolling restarts under load: servers replace each other ten times on one port while clients
 * connect as fast as they can, in each runtime and across them. Writes the table of docs/restart.md. Needs
 * Linux.
 *
 *     deno task restart
 */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Command, rolling, successor } from "../tests/process/rolling.ts";
import { machine } from "./lib/machine.ts";
import { fill, table } from "./lib/markdown.ts";
import { must } from "./lib/process.ts";
import { findAll, type Runtime } from "./lib/runtimes.ts";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const runtimes = await findAll();
const restarts = 10;

const head = ["servers", "restarts", "made", "refused", "reset", "lost", "longest"];
const rows: string[][] = [];
let failed = false;

async function row(label: string, commands: readonly Command[]): Promise<void> {
  const servers = Array.from({ length: restarts + 1 }, (_, i) => commands[i % commands.length]!);
  const tally = await rolling(servers);
  const { made, refused, reset, lost, longest } = tally;
  if (refused + reset + lost + tally.failed > 0) failed = true;
  rows.push([
    label,
    ...[restarts, made, refused, reset, lost].map(String),
    `${longest.toFixed(0)} ms`,
  ]);
  console.log(
    `${label}: ${made} made, ${refused} refused, ${reset} reset, ${lost} lost; ` +
      `${tally.failed} servers ended badly; longest exchange ${longest.toFixed(0)} ms`,
  );
}

const command = ({ name, binary }: Runtime) => successor(name, binary);
for (const runtime of runtimes) await row(`${runtime.name} ${runtime.version}`, [command(runtime)]);
await row("Deno, then Bun, then Node.js, and again", runtimes.map(command));

const file = "docs/restart.md";
await fill(file, "table", `Measured on ${machine()}.\n\n${table(head, rows)}`);
await must(process.execPath, ["fmt", file]);
process.exitCode = failed ? 1 : 0;
