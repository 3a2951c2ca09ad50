/**
 * `deno task bench`: what timeouts, keepalive and listeners cost, beside the runtime's own sockets,
 * on Deno, Bun and Node against the same other end in another process.
 *
 *     --runtime bun      only this one
 *     --only echo,bulk   only these tables
 *     --quick            fewer rounds
 *     --write            puts the numbers into docs/performance.{md,json,svg} and README.md; with
 *                        --only or --runtime the others there stay
 *
 * Without `--write` JSON and SVG go to .cache/bench/.
 *
 * @module
 */

import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { Ports } from "./bench/peer.ts";
import { plot } from "./bench/plot.ts";
import {
  machine,
  markdown,
  missed,
  print,
  type Report,
  summary,
  type Table,
} from "./bench/report.ts";
import { must, run } from "./lib/process.ts";
import { find, type Runtime, versions } from "./lib/runtimes.ts";

const tables = [
  ...["echo", "limits", "bulk", "connect", "keepalive", "accept", "idle", "accuracy", "streams"],
  ...["importing", "scaling", "reuse_port", "dead_peer", "descriptor"],
];
const flags = {
  deno: ["run", "-A", "--no-check", "--v8-flags=--expose-gc"],
  bun: [],
  node: ["--no-warnings", "--expose-gc"],
};

const { values } = parseArgs({
  options: {
    runtime: { type: "string" },
    only: { type: "string", default: tables.join() },
    quick: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});
process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const only = values.only.split(",");
const unknown = only.find((name) => !tables.includes(name));
if (unknown !== undefined) {
  throw new TypeError(
    `Cannot measure as '--only' must be some of ${tables.join()}: current value is ${unknown}`,
  );
}

const runtimes: Runtime[] = [];
for (const name of ["deno", "bun", "node"] as const) {
  if (values.runtime === undefined || values.runtime === name) runtimes.push(await find(name));
}
const directory = resolve(".cache/bench");
await installPackages();
if (only.includes("importing")) await must(process.execPath, ["task", "npm"]);

const server = await startServer();
const measured: Report = { machine: machine(), command: command(), tables: [] };
console.log(measured.machine);
try {
  for (const name of tables.filter((name) => only.includes(name))) {
    const { title }: { title: string } = await import(`./bench/tables/${name}.ts`);
    console.log(`\n${title}`);
    const table: Table = { name, title, runtimes: {} };
    measured.tables.push(table);
    for (const runtime of runtimes) {
      const rows = await measure(runtime, name, server.ports);
      table.runtimes[`${runtime.name} ${runtime.version}`] = rows;
      print(runtime, rows);
    }
    await write();
  }
} finally {
  server.stop();
}
const misses = missed(measured);
console.log(misses.length === 0 ? "\nEvery goal is reached." : `\nNot reached:`);
for (const miss of misses) console.log(`  ${miss}`);
process.exit(0);

async function installPackages(): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, "package.json"), `{ "private": true }\n`);
  const packages = Object.entries(versions.compared).map(([name, it]) => `${name}@${it}`);
  const quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
  await must("npm", ["install", ...quiet, ...packages], { cwd: directory });
}

/** The other end runs under Bun, whoever is measured. */
async function startServer(): Promise<{ ports: Ports; stop(): void }> {
  const { binary } = await find("bun");
  const child = spawn(binary, ["scripts/bench/server.ts"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line = await new Promise<string>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
    child.stdout.once("data", (data) => resolve(String(data)));
  });
  return { ports: JSON.parse(line), stop: () => void child.kill("SIGKILL") };
}

async function measure({ name, binary }: Runtime, table: string, ports: Ports) {
  const job = JSON.stringify({ ports, packages: directory, quick: values.quick });
  const args = [...flags[name], "scripts/bench/worker.ts", table, job];
  const { code, output } = await run(binary, args, { timeout: 180_000 });
  const line = output.split("\n").find((line) => line.startsWith(`{"rows":`));
  if (line === undefined) throw new Error(`${table} on ${name} ended with ${code}:\n${output}`);
  return (JSON.parse(line) as { rows: Table["runtimes"][string] }).rows;
}

function command(): string {
  return ["deno task bench", ...process.argv.slice(2)].join(" ");
}

/** What an earlier run measured stays where this one measures nothing. */
async function merged(): Promise<Report> {
  const text = await readFile("docs/performance.json", "utf8").catch(() => `{ "tables": [] }`);
  const before = (JSON.parse(text) as Report).tables;
  const all: Table[] = [];
  for (const name of tables) {
    const old = before.find((table) => table.name === name);
    const now = measured.tables.find((table) => table.name === name);
    if (now !== undefined) all.push({ ...now, runtimes: { ...old?.runtimes, ...now.runtimes } });
    else if (old !== undefined) all.push(old);
  }
  return { ...measured, tables: all };
}

async function write(): Promise<void> {
  const folder = values.write ? "docs" : directory;
  await mkdir(folder, { recursive: true });
  const report = values.write ? await merged() : measured;
  await writeFile(join(folder, "performance.json"), `${JSON.stringify(report, undefined, 1)}\n`);
  await writeFile(join(folder, "performance.svg"), plot(report));
  if (!values.write) return;
  await fill("docs/performance.md", markdown(report));
  await fill("README.md", summary(report));
  await must(process.execPath, ["fmt", "--quiet", "docs/performance.md", "README.md"]);
}

async function fill(file: string, numbers: string): Promise<void> {
  const [before, , after] = (await readFile(file, "utf8")).split(/<!-- \/?numbers -->\n/);
  await writeFile(file, `${before}<!-- numbers -->\n${numbers}<!-- /numbers -->\n${after}`);
}
