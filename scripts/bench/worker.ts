/**
 * Measures one table in the runtime that runs this, and prints its rows as one line of JSON.
 *
 *     worker.ts TABLE '{"ports":...,"packages":"/dir","quick":false}'
 *
 * @module
 */

import { createRequire } from "node:module";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { Peer, type Ports } from "./peer.ts";
import type { Raw } from "./raw/api.ts";
import type { Row } from "./row.ts";

/** What a table gets. */
export interface Tools {
  peer: Peer;
  raw: Raw;
  runtime: "deno" | "bun" | "node";
  /** Loads an npm package of the comparison. */
  load<Module>(name: string): Promise<Module>;
  /** How many rounds to run: fewer in a quick run. */
  rounds(full: number): number;
}

interface Job {
  ports: Ports;
  packages: string;
  quick: boolean;
}

const [table = "", job = ""] = process.argv.slice(2);
const { ports, packages, quick }: Job = JSON.parse(job);
const runtime = process.versions.deno ? "deno" : process.versions.bun ? "bun" : "node";
const { raw }: { raw: Raw } = await import(`./raw/${runtime}.ts`);
const { run }: { run(tools: Tools): Promise<Row[]> } = await import(`./tables/${table}.ts`);
const rows = await run({
  peer: new Peer(ports),
  raw,
  runtime,
  load: (name) => import(pathToFileURL(createRequire(`${packages}/`).resolve(name)).href),
  rounds: (full) => quick ? Math.max(3, Math.round(full / 4)) : full,
});
console.log(`\n${JSON.stringify({ rows })}`);
process.exit(0);
