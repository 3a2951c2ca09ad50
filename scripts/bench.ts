/**
 * `deno task bench`: measures what timeouts, keepalive and listeners cost, compared with the runtime's own
 * sockets, on Deno, Bun and Node. The other end is the same for all, in another process.
 *
 *     --runtime bun      only this one
 *     --only echo,bulk   only these tables
 *     --quick            fewer rounds
 *     --profile          instead of the numbers: where the CPU time of an operation goes, of the raw
 *                        side and of ours
 *     --write            puts the numbers into docs/{measurements,performance}.md, performance.{json,svg} and README.md; with
 *                        --only or --runtime the others there stay
 *
 * Without `--write` JSON and SVG go to .cache/bench/.
 */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Child } from "./bench/child.ts";
import { buildLanguages } from "./bench/languages/build.ts";
import type { Alone } from "./bench/measure.ts";
import type { Ports } from "./bench/peer.ts";
import { plot } from "./bench/plot.ts";
import { printProfile, profile, profiled, profilesMarkdown } from "./bench/profile.ts";
import type { Profiles } from "./bench/profile.ts";
import { lastRun, markdown, missed, missedMarkdown, print } from "./bench/report.ts";
import { type Report, summary } from "./bench/report.ts";
import type { Row } from "./bench/row.ts";
import type { Job } from "./bench/worker.ts";
import { json } from "./lib/json.ts";
import { machine } from "./lib/machine.ts";
import { fill } from "./lib/markdown.ts";
import { must, run } from "./lib/process.ts";
import { find, flags, names, type Runtime, versions } from "./lib/runtimes.ts";
import { npmInstall } from "./lib/tools.ts";

const tables = [
  ...["echo", "limits", "bulk", "connect", "keepalive", "accept", "idle", "accuracy", "streams"],
  ...["importing", "scaling", "reuse_port", "dead_peer", "descriptor", "guard", "tls", "tls_bulk"],
  "languages",
];
const exposeGc = { deno: ["--v8-flags=--expose-gc"], bun: [], node: ["--expose-gc"] };

const { values } = parseArgs({
  options: {
    runtime: { type: "string" },
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
  },
});
process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const possible = values.profile ? profiled : tables;
const only = values.only?.split(",") ?? possible;
const unknown = only.find((name) => !possible.includes(name));
if (unknown !== undefined) {
  throw new TypeError(
    `Cannot measure as '--only' must be some of ${possible.join()}: current value is ${unknown}`,
  );
}

const chosen = names.filter((name) => values.runtime === undefined || values.runtime === name);
const runtimes = await Promise.all(chosen.map((name) => find(name)));
const directory = resolve(".cache/bench");
await npmInstall(
  directory,
  ...Object.entries(versions.compared).map(([name, version]) => `${name}@${version}`),
);
if (only.includes("importing")) await must(process.execPath, ["task", "npm"]);
const languages = only.includes("languages") ? await buildLanguages() : {};

// The other end, which always runs under Bun.
const server = new Child([(await find("bun")).binary, "scripts/bench/server.ts"]);
const ports: Ports = JSON.parse(await server.line());
const start = performance.now();
const about = {
  machine: machine(),
  command: ["deno task bench", ...process.argv.slice(2)].join(" "),
};
console.log(about.machine);
try {
  await (values.profile ? profileAll() : measureAll());
} finally {
  server.stop();
}
console.log(`\nTook ${minutesSince(start)} minutes.`);
process.exit(0);

async function measureAll(): Promise<void> {
  const measured: Report = { ...about, tables: [] };
  await each(tables, measured.tables, async (runtime, name) => {
    const { rows } = await work<{ rows: Row[] }>(runtime, name);
    print(runtime, rows);
    return rows;
  }, () => write(measured));
  const misses = missed(measured);
  console.log(misses.length === 0 ? "\nEvery goal is reached." : `\nNot reached:`);
  for (const miss of misses) console.log(`  ${miss}`);
}

async function profileAll(): Promise<void> {
  const profiles: Profiles = { ...about, tables: [] };
  await each(profiled, profiles.tables, async (runtime, name) => {
    const sides = await profile(runtime, name, {
      directory,
      quick: values.quick,
      work: async (job, how) => (await work<{ alone: Alone }>(runtime, name, job, how)).alone,
    });
    printProfile(runtime, sides);
    return sides;
  }, () => write({ profiles }));
}

/** Measures the chosen tables on every runtime; `done` follows each table. */
async function each<Result>(
  names: string[],
  results: { name: string; title: string; runtimes: Record<string, Result> }[],
  measure: (runtime: Runtime, name: string) => Promise<Result>,
  done: () => Promise<void>,
): Promise<void> {
  for (const name of names.filter((name) => only.includes(name))) {
    const { title }: { title: string } = await import(`./bench/tables/${name}.ts`);
    console.log(`\n${title}`);
    const runtimesOf: Record<string, Result> = {};
    results.push({ name, title, runtimes: runtimesOf });
    for (const runtime of runtimes) {
      runtimesOf[`${runtime.name} ${runtime.version}`] = await measure(runtime, name);
    }
    console.log(`  ${minutesSince(start)} minutes so far`);
    await done();
  }
}

function minutesSince(start: number): string {
  return ((performance.now() - start) / 60_000).toFixed(1);
}

/** Runs the worker, with more `flags` of the runtime or `under` another program. */
async function work<Result>(
  { name, binary }: Runtime,
  table: string,
  job: Partial<Job> = {},
  how: { flags?: string[]; under?: string[] } = {},
): Promise<Result> {
  const { quick } = values;
  const all: Job = { ports, packages: directory, languages, quick, ...job };
  const own = [...flags[name], ...exposeGc[name], ...how.flags ?? []];
  const line = [binary, ...own, "scripts/bench/worker.ts", table, JSON.stringify(all)];
  const [program = "", ...args] = [...how.under ?? [], ...line];
  const { code, output } = await run(program, args, { timeout: 180_000 });
  const result = output.split("\n").find((line) => /^{"(rows|alone)":/.test(line));
  if (result === undefined) throw new Error(`${table} on ${name} ended with ${code}:\n${output}`);
  return JSON.parse(result);
}

/** Keeps the numbers of an earlier run that this one did not measure. */
function merged<One extends { name: string; runtimes: Record<string, unknown> }>(
  before: One[] = [],
  measured: One[],
): One[] {
  const all: One[] = [];
  for (const name of tables) {
    const old = before.find((table) => table.name === name);
    const now = measured.find((table) => table.name === name);
    if (now !== undefined) all.push({ ...now, runtimes: { ...old?.runtimes, ...now.runtimes } });
    else if (old !== undefined) all.push(old);
  }
  return all;
}

async function write(measured: Partial<Report>): Promise<void> {
  const folder = values.write ? "docs" : directory;
  const file = (name: string) => join(folder, name);
  await mkdir(folder, { recursive: true });
  let report: Report = { machine: "", command: "", tables: [] };
  if (values.write) {
    const before = await readFile(file("performance.json"), "utf8").catch(() => "{}");
    Object.assign(report, JSON.parse(before));
  }
  const { tables, profiles } = measured;
  if (tables !== undefined) {
    Object.assign(report, measured, { tables: merged(report.tables, tables) });
  }
  if (profiles !== undefined) {
    report.profiles = { ...profiles, tables: merged(report.profiles?.tables, profiles.tables) };
  }
  const text = json(report);
  await writeFile(file("performance.json"), `${text}\n`);
  // What is written is rounded, and the next run starts from it, so all of it is shown rounded in the same way.
  report = JSON.parse(text);
  await writeFile(file("performance.svg"), plot(report));
  if (!values.write) return;
  if (report.profiles !== undefined) {
    await fill(
      "docs/measurements.md",
      "profiles",
      lastRun(report.profiles) + profilesMarkdown(report.profiles),
    );
  }
  await fill("docs/measurements.md", "numbers", markdown(report));
  await fill("docs/measurements.md", "missed", missedMarkdown(report));
  const headlines = summary(report);
  for (const page of ["README.md", "docs/performance.md"]) await fill(page, "numbers", headlines);
  await must(process.execPath, ["fmt", "--quiet", "docs", "README.md"]);
}
