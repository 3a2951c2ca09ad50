/**
 * CPU of a round trip and memory of a connection, as connections become more.
 *
 * @module
 */

import { connect } from "../../../mod.ts";
import { data, trip } from "../echoing.ts";
import { compare } from "../measure.ts";
import { each } from "../memory.ts";
import { cpuRow, type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";
import { waiting } from "./idle.ts";

export const title = "Scaling: CPU of a round trip, memory of a waiting connection";

export async function run({ peer, raw, rounds }: Tools): Promise<Row[]> {
  const { echo, sink } = peer.ports;
  const rows: Row[] = [];
  for (const count of [1, 64, 1_000, 10_000]) {
    const dial = () => connect({ hostname: "127.0.0.1", port: echo, timeout: 30_000 });
    // 10,000 of each side at once would be more descriptors than most systems give.
    const part = Math.min(count, 4_000);
    const name = (count: number) =>
      `${count.toLocaleString("en")} ${count === 1 ? "connection" : "connections"}`;
    const label = name(part);
    const theirs = await raw.echo(echo, part, data);
    const ours = (await each(part, dial)).all;
    const trips = Math.max(1, Math.round(8_000 / part));
    const costs = await compare([
      { name: "raw", run: () => theirs(trips) },
      { name: label, run: () => Promise.all(ours.map((conn) => trip(conn, trips))) },
    ], { operations: part * trips, rounds: rounds(11), warmup: 4 });
    for (const conn of ours) conn.close();
    rows.push(cpuRow(costs, label, "raw", "us CPU a round trip"));

    if (count < 1_000) continue;
    const bare = await each(count, () => waiting(() => raw.dial(sink)));
    for (const conn of bare.all.splice(0)) conn.close();
    const limited = await each(
      count,
      () => waiting(() => connect({ hostname: "127.0.0.1", port: sink, timeout: 600_000 })),
    );
    for (const conn of limited.all.splice(0)) conn.close();
    const total = ({ heap, external }: { heap: number; external: number }) => heap + external;
    rows.push(
      valueRow(`${name(count)}, memory`, "B a connection", [total(limited.memory)]),
      valueRow(`${name(count)}, memory, raw`, "B a connection", [total(bare.memory)]),
    );
  }
  return rows;
}
