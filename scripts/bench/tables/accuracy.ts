/**
 * When timeouts ring, with 10,000 of mixed length pending and nothing else to do.
 *
 * @module
 */

import { connect, type TcpConnection, TimeoutError } from "../../../mod.ts";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Accuracy of 10,000 pending timeouts, 300 to 3,300 ms";

const count = 10_000;
const connections = 100;

export async function run({ peer }: Tools): Promise<Row[]> {
  const options = { hostname: "127.0.0.1", port: peer.ports.sink, timeout: null };
  const conns = await Promise.all(Array.from({ length: connections }, () => connect(options)));
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
  const late = await Promise.all(Array.from({ length: count }, (_, i) => {
    // Mixed: neighbours in the queue are far apart in time; fractions too.
    return lateness(conns[i % connections]!, 300 + (i * 7_919 % count) * 0.3);
  }));
  for (const conn of conns) conn.close();
  late.sort((a, b) => a - b);
  const at = (part: number) => late[Math.round(part * (late.length - 1))]!;
  return [
    valueRow("rejected", "of 10,000", [late.length], { least: count }),
    valueRow("too early", "timeouts", [late.filter((ms) => ms < 0).length], { most: 0 }),
    valueRow("late, median", "ms", [at(0.5)]),
    valueRow("late, 99 % within", "ms", [at(0.99)], { most: 5 }),
    valueRow("late, worst", "ms", [at(1)]),
    valueRow("late, the first of the process", "ms", [first]),
  ];
}
