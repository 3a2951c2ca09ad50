/**
 * Measures one table in the runtime that runs this, and prints its rows as one line of JSON. For a profile,
 * it runs one side alone and prints the time that took.
 *
 *     worker.ts TABLE '{"ports":...,"packages":"/dir","quick":false}'
 */

import { createRequire } from "node:module";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { flags } from "../lib/runtimes.ts";
import type { Languages } from "./languages/build.ts";
import { alone, type Contest } from "./measure.ts";
import { Peer, type Ports } from "./peer.ts";
import type { Raw } from "./raw/api.ts";
import { type Row, throughputRows } from "./row.ts";

/** What a table gets. */
export interface Tools {
  peer: Peer;
  raw: Raw;
  runtime: "deno" | "bun" | "node";
  /** The command that starts another process of this runtime. */
  command: string[];
  /** Loads an npm package of the comparison. */
  load<Module>(name: string): Promise<Module>;
  /** Programs in other languages, as far as they could be built. */
  languages: Partial<Languages>;
  /** How many rounds to run, fewer in a quick run. */
  rounds(full: number): number;
}

export interface Job {
  ports: Ports;
  packages: string;
  languages: Partial<Languages>;
  quick: boolean;
  alone?: { index: number; rounds: number; warmup: number };
}

/** A table of throughputs has `contests` and their rounds. For a profile the last one is measured. */
interface TableModule {
  run?(tools: Tools): Promise<Row[]>;
  contest?(tools: Tools): Promise<Contest>;
  contests?(tools: Tools): Promise<Contest[]>;
  rounds?: number;
}

const [table = "", text = ""] = process.argv.slice(2);
const job: Job = JSON.parse(text);
const runtime = process.versions.deno ? "deno" : process.versions.bun ? "bun" : "node";
const { raw }: { raw: Raw } = await import(`./raw/${runtime}.ts`);
const { run, contest, contests, rounds }: TableModule = await import(`./tables/${table}.ts`);
const tools: Tools = {
  peer: new Peer(job.ports),
  raw,
  runtime,
  command: [process.execPath, ...flags[runtime]],
  load: (name) => import(pathToFileURL(createRequire(`${job.packages}/`).resolve(name)).href),
  languages: job.languages,
  rounds: (full) => job.quick ? Math.max(3, Math.round(full / 4)) : full,
};
const all = await contests?.(tools);
const result = job.alone !== undefined
  ? { alone: await alone(all?.at(-1) ?? await contest!(tools), job.alone) }
  : { rows: all ? await throughputRows(all, tools.rounds(rounds!)) : await run!(tools) };
console.log(`\n${JSON.stringify(result)}`);
process.exit(0);
