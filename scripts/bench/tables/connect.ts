/**
 * Connecting, setting keepalive with all three values, closing.
 *
 * @module
 */

import { connect } from "../../../mod.ts";
import { compare, type Contest } from "../measure.ts";
import { rateRow, type Row } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Connect, keepalive with idle, interval and count, close; 8 at a time";

const lanes = 8;
const each = 250;

async function repeat(action: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < each; i++) await action();
}

export async function contest({ peer, raw }: Tools): Promise<Contest> {
  const port = peer.ports.sink;
  const options = {
    hostname: "127.0.0.1",
    port,
    timeout: 30_000,
    keepAlive: { idle: 60_000, interval: 10_000, count: 3 },
  };
  const bare = { hostname: "127.0.0.1", port, timeout: 30_000 };
  const ours = async () => (await connect(options)).close();
  const plain = async () => (await connect(bare)).close();
  const parallel = (action: () => Promise<unknown>) => () =>
    Promise.all(Array.from({ length: lanes }, () => repeat(action)));
  const least = await raw.connectSetClose(port);
  const sides = [
    { name: "raw", run: parallel(() => raw.connectClose(port)) },
    { name: "with keepalive", run: parallel(ours) },
    { name: "without options", run: parallel(plain) },
    { name: "raw and the system calls", run: parallel(least) },
  ];
  return { sides, operations: lanes * each };
}

export async function run(tools: Tools): Promise<Row[]> {
  const { sides, operations } = await contest(tools);
  const costs = await compare(sides, { operations, rounds: tools.rounds(21), warmup: 4 });
  return [
    rateRow(costs, "wall", ["with keepalive", "raw", "connections/s"]),
    rateRow(costs, "cpu", ["with keepalive", "raw", "connections/s of CPU"], { least: 0.9 }),
    rateRow(costs, "cpu", ["without options", "raw", "connections/s of CPU"]),
    // No library can cost less than this.
    rateRow(costs, "cpu", ["raw and the system calls", "raw", "connections/s of CPU"]),
  ];
}
