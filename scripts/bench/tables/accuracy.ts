/** How late timeouts fire, with 10,000 of mixed length pending and nothing else to do. */

import { type TcpConnection, TimeoutError } from "../../../mod.ts";
import { dial } from "../operations.ts";
import { quantile } from "../measure.ts";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Accuracy of 10,000 pending timeouts, 300 to 3,300 ms";

const count = 10_000;
const connections = 100;

export async function run({ peer, rounds }: Tools): Promise<Row[]> {
  const { sink } = peer.ports;
  const conns = await Promise.all(Array.from({ length: connections }, () => dial(sink)));
  const into = new Uint8Array(1);
  /** How late a read with `timeout` rejects, in ms. */
  const lateness = async (conn: TcpConnection, timeout: number): Promise<number> => {
    const due = performance.now() + timeout;
    const error = await conn.read(into, { timeout }).catch((error) => error);
    if (!(error instanceof TimeoutError)) throw error;
    return performance.now() - due;
  };
  // The first error of a process loads what its `diagnosis` needs.
  const first = await lateness(conns[0]!, 100);
  const all: number[][] = [];
  for (let round = rounds(10); round > 0; round--) {
    all.push(
      await Promise.all(Array.from({ length: count }, (_, i) => {
        // The times are mixed, so that neighbours in the queue are far apart, and some are fractions.
        return lateness(conns[i % connections]!, 300 + (i * 7_919 % count) * 0.3);
      })),
    );
  }
  for (const conn of conns) conn.close();
  const each = (value: (late: number[]) => number) => all.map(value);
  const early = each((late) => late.filter((ms) => ms < 0).length);
  return [
    valueRow("rejected", "of 10,000", each(({ length }) => length), { least: count }),
    valueRow("too early, the worst round", "timeouts", [Math.max(...early)], { most: 0 }),
    valueRow("late, median", "ms", each((late) => quantile(late, 0.5))),
    valueRow("late, 99 % within", "ms", each((late) => quantile(late, 0.99)), { most: 5 }),
    valueRow("late, worst", "ms", each((late) => quantile(late, 1))),
    valueRow("late, the first of the process", "ms", [first]),
  ];
}
