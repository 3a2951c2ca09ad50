/** CPU time of a round trip and memory of a connection, with more and more connections. */

import { readFileSync } from "node:fs";
import { data, dial, trip } from "../operations.ts";
import { compare } from "../measure.ts";
import { type Memory, waiting } from "../memory.ts";
import { many } from "../peer.ts";
import { cpuRow, type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Scaling: CPU of a round trip, memory of a waiting connection";

/** The largest number up to `count` that two sides can have open at once. */
function fitting(count: number): { part: number; why: string } {
  let limit = Infinity;
  try {
    limit = Number(
      /Max open files +(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? limit,
    );
  } catch {
    // This is not Linux.
  }
  // Some descriptors are open already.
  const part = Math.min(count, Math.floor(limit / 2) - 100);
  return { part, why: part < count ? ` (${limit.toLocaleString("en")} descriptors)` : "" };
}

export async function run({ peer, raw, rounds }: Tools): Promise<Row[]> {
  const { echo, sink } = peer.ports;
  const name = (count: number) =>
    `${count.toLocaleString("en")} ${count === 1 ? "connection" : "connections"}`;
  const rows: Row[] = [];
  for (const count of [1, 64, 1_000, 10_000]) {
    const { part, why } = fitting(count);
    const label = name(part) + why;
    const theirs = await raw.echo(echo, part, data);
    const ours = await many(part, () => dial(echo));
    const trips = Math.max(2, Math.round(8_000 / part));
    const sides = [
      { name: "raw", run: () => theirs.run(trips) },
      { name: label, run: () => Promise.all(ours.map((conn) => trip(conn, trips))) },
    ];
    // After sixteen writes a connection has everything that is made for connections that write often.
    const warmup = Math.max(4, Math.ceil(16 / trips));
    const contest = { sides, operations: part * trips };
    const costs = await compare(contest, { rounds: rounds(11), warmup });
    for (const conn of ours) conn.close();
    theirs.close();
    rows.push({ ...cpuRow(costs, [label, "raw"]), unit: "us CPU a round trip" });

    if (count < 1_000) continue;
    const total = ({ heap, external }: Memory) => [heap + external];
    const bare = total(await waiting(count, () => raw.dial(sink)));
    const limited = total(await waiting(count, () => dial(sink, { timeout: 600_000 })));
    rows.push(
      valueRow(`${name(count)}, memory`, "B a connection", limited),
      valueRow(`${name(count)}, memory, raw`, "B a connection", bare),
    );
  }
  return rows;
}
