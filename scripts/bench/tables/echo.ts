/**
 * Echo round trips with a limit on every read and write, beside the raw API.
 *
 * @module
 */

import { connect } from "../../../mod.ts";
import { data, echoing } from "../echoing.ts";
import { compare } from "../measure.ts";
import { cpuRow, type Row } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Echo round trip, 64 connections, 64 B, a limit on every read and write";

const count = 64;
const trips = 150;

export async function run({ peer, raw, rounds }: Tools): Promise<Row[]> {
  const port = peer.ports.echo;
  const name = `raw ${raw.style}`;
  const theirs = await raw.echo(port, count, data);
  const sides = [
    { name, run: () => theirs.run(trips) },
    await echoing(
      "holdfast",
      [count, trips],
      () => connect({ hostname: "127.0.0.1", port, timeout: 30_000 }),
    ),
  ];
  // In Deno the raw API has promises itself.
  const bare = raw.style === "await" ? [] : ["bare promises"];
  for (const name of bare) {
    sides.push(await echoing(name, [count, trips], () => raw.dial(port)));
  }
  const operations = count * trips;
  const costs = await compare(sides, { operations, rounds: rounds(41), warmup: 8 });
  return [
    cpuRow(costs, "holdfast", name, "us CPU", { most: 1.1 }),
    ...bare.map((name) => cpuRow(costs, "holdfast", name, "us CPU", { most: 1 })),
  ];
}
