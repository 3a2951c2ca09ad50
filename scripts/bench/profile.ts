/**
 * Finds out where the CPU time of an operation goes: for the raw side and ours, each alone in a process
 * under the runtime's own CPU profiler, and once more under strace, where it is installed.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { columns, sections } from "../lib/markdown.ts";
import type { Runtime } from "../lib/runtimes.ts";
import type { Alone } from "./measure.ts";
import type { Job } from "./worker.ts";

/** The tables whose two sides can run alone. */
export const profiled: string[] = [
  ...["echo", "bulk", "connect", "accept", "streams", "tls", "tls_bulk"],
];

/** The kinds of places where time is spent. */
const groups = {
  native: "native functions",
  rest: "event loop, other native code, threads",
  collector: "GC",
  runtime: "the runtime's JS",
  ours: "ours",
  bench: "the bench",
};

type Group = keyof typeof groups;

/** Microseconds or system calls of one operation, by name. */
type Shares = Record<string, number>;

interface SideProfile {
  /** CPU time of one operation in us, over all threads. */
  user: number;
  system: number;
  groups: Record<Group, number>;
  /** The times of `native` and `runtime` by function, those of `ours` by file. */
  native: Shares;
  runtime: Shares;
  ours: Shares;
  /** System calls of one operation. Empty where strace is not installed. */
  calls?: Shares;
}

type Sides = Record<"raw" | "ours", SideProfile>;

export interface Profile {
  name: string;
  title: string;
  /** The profiles by runtime and version. */
  runtimes: Record<string, Sides>;
}

/** All profiles, and the run that measured them. */
export interface Profiles {
  machine: string;
  command: string;
  tables: Profile[];
}

/** Runs one side in a process of its own; `under` is a program that runs it. */
export type Work = (
  job: Pick<Job, "alone">,
  how: { flags?: string[]; under?: string[] },
) => Promise<Alone>;

/** The part of a `.cpuprofile` that is used. https://chromedevtools.github.io/devtools-protocol/tot/Profiler/ */
interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string } }[];
  startTime: number;
  endTime: number;
  samples: number[];
  timeDeltas: number[];
}

/** The times between samples, in us. */
const interval = 500;

/** Profiles both sides of a table. The files stay in `directory`, for a browser's developer tools. */
export async function profile(
  { name }: Runtime,
  table: string,
  { work, directory, quick }: { work: Work; directory: string; quick: boolean },
): Promise<Sides> {
  const counts = quick ? { rounds: 6, warmup: 4 } : { rounds: 20, warmup: 8 };
  const sides: Partial<Sides> = {};
  for (const [index, side] of (["raw", "ours"] as const).entries()) {
    const file = `${table}-${name}-${side}`;
    const options = { dir: directory, name: `${file}.cpuprofile`, interval };
    const flags = Object.entries(options).map(([name, value]) => `--cpu-prof-${name}=${value}`);
    const alone = await work({ alone: { index, ...counts } }, { flags: ["--cpu-prof", ...flags] });
    const taken: CpuProfile = JSON.parse(await readFile(join(directory, options.name), "utf8"));
    const calls = await systemCalls(work, index, join(directory, `${file}.strace`));
    sides[side] = { ...attribute(taken, alone, name === "bun"), calls };
  }
  return sides as Sides;
}

function attribute(
  { nodes, startTime, endTime, samples, timeDeltas }: CpuProfile,
  alone: Alone,
  bun: boolean,
): SideProfile {
  const { operations, spans } = alone;
  const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]));
  const all: SideProfile = {
    user: alone.user / operations,
    system: alone.system / operations,
    groups: { native: 0, rest: 0, collector: 0, runtime: 0, ours: 0, bench: 0 },
    native: {},
    runtime: {},
    ours: {},
  };
  // The process ends when the last round does.
  let before = endTime - startTime;
  for (const [i, id] of samples.entries()) {
    before -= timeDeltas[i]!;
    if (!spans.some(([start, end]) => before <= start && before >= end)) continue;
    const place = placeOf(frames.get(id)!);
    if (place === undefined) continue;
    // Bun takes samples in JavaScript only, so the sample after a gap does not show what was in it.
    const us = Math.min(timeDeltas[i]!, bun ? 3 * interval : Infinity) / operations;
    const [group, label] = place;
    all.groups[group] += us;
    if (label !== undefined) {
      const shares = all[group as "native" | "runtime" | "ours"];
      shares[label] = (shares[label] ?? 0) + us;
    }
  }
  return fitted(all);
}

/**
 * The CPU time without samples. Samples count wall clock time, so if the process had to wait for a
 * processor, they add up to more than its CPU time.
 */
function fitted(all: SideProfile): SideProfile {
  const cpu = all.user + all.system;
  const sampled = Object.values(all.groups).reduce((sum, us) => sum + us, 0);
  const factor = Math.min(1, cpu / sampled);
  for (const shares of [all.groups, all.native, all.runtime, all.ours] as Shares[]) {
    for (const label in shares) shares[label]! *= factor;
  }
  all.groups.rest = Math.max(0, cpu - sampled);
  return all;
}

/** The kind of a sample, or `undefined` for one that is not of running JavaScript. */
function placeOf(
  { functionName, url }: CpuProfile["nodes"][number]["callFrame"],
): [group: Group, label?: string] | undefined {
  // One of these is the event loop.
  if (["(idle)", "(program)", "(root)"].includes(functionName)) return undefined;
  if (functionName === "(garbage collector)") return ["collector"];
  // The accept table sleeps between rounds.
  if (functionName === "asleep" || functionName === "wait") return undefined;
  if (url === "") return ["native", functionName || "anonymous"];
  const [, file] = url.split(`${process.cwd()}/`);
  if (file === undefined) return ["runtime", functionName || "anonymous"];
  if (file.startsWith("scripts/")) return ["bench"];
  // Time in functions that FFI calls counts for the caller.
  if (/\/(kernel|libc)\.ts$/.test(file)) return ["native", "system calls through FFI"];
  return ["ours", file.replace("src/", "")];
}

/** The difference that two more rounds make, so that start, warm-up and end do not count. */
async function systemCalls(work: Work, index: number, file: string): Promise<Shares | undefined> {
  const counted: Map<string, number>[] = [];
  let operations = 0;
  for (const rounds of [1, 3]) {
    try {
      const under = ["strace", "-f", "-c", "-U", "name,calls", "-o", file];
      const alone = await work({ alone: { index, rounds, warmup: 2 } }, { under });
      operations = alone.operations - operations;
    } catch {
      // strace is not installed, or not allowed.
      return undefined;
    }
    const lines = (await readFile(file, "utf8")).matchAll(/^(\w+) +(\d+)$/gm);
    counted.push(new Map(Array.from(lines, ([, name, calls]) => [name!, Number(calls)])));
  }
  const [few, many] = counted as [Map<string, number>, Map<string, number>];
  many.delete("total");
  return Object.fromEntries(
    Array.from(many, ([name, calls]) => [name, (calls - (few.get(name) ?? 0)) / operations]),
  );
}

/** The largest ones that matter. */
function top(shares: Shares, least: number, most = 6): string {
  return Object.entries(shares).filter(([, value]) => value >= least)
    .toSorted(([, a], [, b]) => b - a).slice(0, most)
    .map(([name, value]) => `${name} ${value.toFixed(2)}`).join(", ");
}

function cells(side: string, { user, system, groups: parts }: SideProfile): string[] {
  const times = [user + system, user, system, ...keys.map((group) => parts[group])];
  return [side, ...times.map((us) => us.toFixed(2))];
}

const keys = Object.keys(groups) as Group[];
const head = ["side", "CPU", "user", "system", ...Object.values(groups)];

const rowsOf = (sides: Sides) => Object.entries(sides).map(([side, it]) => cells(side, it));

function lists(sides: Sides): string[] {
  return Object.entries(sides).flatMap(([side, { user, system, native, runtime, ours, calls }]) => {
    const least = (user + system) / 500;
    return [
      ["native functions", top(native, least)],
      ["runtime's functions", top(runtime, least)],
      ["files", top(ours, least)],
      ["system calls", calls === undefined ? "no strace here" : top(calls, 0.02, 12)],
    ].filter(([, text]) => text !== "").map(([what, text]) => `${side}, ${what}: ${text}`);
  });
}

export function printProfile({ name, version }: Runtime, sides: Sides): void {
  console.log(`  ${name} ${version}, us an operation`);
  console.log(columns([head, ...rowsOf(sides)], head.map(({ length }) => length + 1)));
  for (const line of lists(sides)) console.log(`      ${line}`);
}

/** Formats profiles as Markdown, one table for each title. */
export function profilesMarkdown({ tables }: Profiles): string {
  const all = tables.map(({ title, runtimes }) => {
    const each = Object.entries(runtimes);
    return {
      title: `Profile: ${title}`,
      head: ["runtime", ...head],
      rows: each.flatMap(([runtime, sides]) => rowsOf(sides).map((row) => [runtime, ...row])),
      notes: each.flatMap(([runtime, sides]) => lists(sides).map((line) => `${runtime}, ${line}`)),
    };
  });
  return sections(all);
}
