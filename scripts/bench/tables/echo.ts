/** Echo round trips with a limit on every read and write, beside the raw API. */

import { data, dial, echoing } from "../echoing.ts";
import { compare, type Contest } from "../measure.ts";
import type { Raw } from "../raw/api.ts";
import { cpuRow, type Row } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Echo round trip, 64 connections, 64 B, a limit on every read and write";

const count = 64;
const trips = 150;

/** The label of the raw side. In Deno the raw API itself has promises. */
export function besides(raw: Raw): string[] {
  return raw.style === "await" ? [] : ["bare promises"];
}

export async function contest({ peer, raw }: Tools): Promise<Contest> {
  const port = peer.ports.echo;
  const theirs = await raw.echo(port, count, data);
  const sides = [
    { name: `raw ${raw.style}`, run: () => theirs.run(trips) },
    await echoing("holdfast", [count, trips], () => dial(port)),
  ];
  for (const name of besides(raw)) {
    sides.push(await echoing(name, [count, trips], () => raw.dial(port)));
  }
  return { sides, operations: count * trips };
}

export async function run(tools: Tools): Promise<Row[]> {
  const { raw, rounds } = tools;
  const costs = await compare(await contest(tools), { rounds: rounds(31), warmup: 8 });
  return [
    cpuRow(costs, ["holdfast", `raw ${raw.style}`, "us CPU"], { most: 1.08 }),
    ...besides(raw).map((name) => cpuRow(costs, ["holdfast", name, "us CPU"], { most: 1 })),
  ];
}
