/**
 * Measures rolling restarts under load: servers replace each other ten times on one port while clients
 * connect as fast as they can, in each runtime and across them. Writes the table of docs/restart.md. Needs
 * Linux.
 *
 *     deno task restart
 */

import { arch, cpus, release } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Command, rolling, successor } from "../tests/process/rolling.ts";
import { fill, table } from "./lib/markdown.ts";
import { must } from "./lib/process.ts";
import { find } from "./lib/runtimes.ts";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const runtimes = await Promise.all((["deno", "bun", "node"] as const).map((name) => find(name)));
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

const command = ({ name, binary }: (typeof runtimes)[number]) => successor(name, binary);
for (const runtime of runtimes) await row(`${runtime.name} ${runtime.version}`, [command(runtime)]);
await row("Deno, then Bun, then Node.js, and again", runtimes.map(command));

const file = "docs/restart.md";
const machine = `Linux ${release()} ${arch()}, ${cpus().length} cores`;
await fill(file, "table", `Measured on ${machine}.\n\n${table(head, rows)}`);
await must(process.execPath, ["fmt", file]);
process.exitCode = failed ? 1 : 0;
