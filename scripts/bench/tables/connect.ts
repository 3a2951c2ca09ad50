/** Connecting, setting keepalive with all three values, closing. */

import { dial, inLanes } from "../operations.ts";
import { compare, type Contest } from "../measure.ts";
import { rateRow, type Row } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Connect, keepalive with idle, interval and count, close; 8 at a time";

const [lanes, each] = [8, 250];
const keepAlive = { idle: 60_000, interval: 10_000, count: 3 };

export async function contest({ peer, raw }: Tools): Promise<Contest> {
  const port = peer.ports.sink;
  const side = (name: string, action: () => Promise<unknown>) => ({
    name,
    run: () => inLanes([lanes, each], action),
  });
  const sides = [
    side("raw", () => raw.connectClose(port)),
    side("with keepalive", async () => (await dial(port, { keepAlive })).close()),
    side("without options", async () => (await dial(port)).close()),
    side("raw and the system calls", await raw.connectSetClose(port)),
  ];
  return { sides, operations: lanes * each };
}

export async function run(tools: Tools): Promise<Row[]> {
  const costs = await compare(await contest(tools), { rounds: tools.rounds(15), warmup: 4 });
  return [
    rateRow(costs, "wall", ["with keepalive", "raw"], "connections"),
    rateRow(costs, "cpu", ["with keepalive", "raw"], "connections", { least: 0.75 }),
    rateRow(costs, "cpu", ["without options", "raw"], "connections", { least: 0.85 }),
    // No library can cost less than this.
    rateRow(costs, "cpu", ["raw and the system calls", "raw"], "connections"),
  ];
}
