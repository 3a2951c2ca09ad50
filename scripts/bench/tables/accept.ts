/**
 * Accepting from a listener whose options are inherited.
 *
 * @module
 */

import { listen, type TcpConnection } from "../../../mod.ts";
import { compare } from "../measure.ts";
import { rateRow, type Row } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Accept, with keepalive and other options inherited from the listener";

const count = 400;

export async function run({ peer, raw, rounds }: Tools): Promise<Row[]> {
  const theirs = await raw.listen();
  const ours = await listen({
    hostname: "127.0.0.1",
    port: 0,
    timeout: 30_000,
    keepAlive: { idle: 60_000, interval: 10_000, count: 3 },
  });
  const accepted: TcpConnection[] = [];
  // Runs between two measurements: the ends of the one before go.
  const setup = async () => {
    await peer.drop();
    theirs.drop();
    for (const connection of accepted.splice(0)) connection.close();
  };
  const accept = async () => {
    for (let i = 0; i < count; i++) accepted.push(await ours.accept());
  };
  const costs = await compare([
    {
      name: "raw",
      setup,
      run: () => Promise.all([theirs.accept(count), peer.dial(theirs.port, count)]),
    },
    {
      name: "accept",
      setup,
      run: () => Promise.all([accept(), peer.dial(ours.addr.port, count)]),
    },
  ], { operations: count, rounds: rounds(25), warmup: 5 });
  await setup();
  return [
    rateRow(costs, "wall", ["accept", "raw", "connections/s"]),
    rateRow(costs, "cpu", ["accept", "raw", "connections/s of CPU"], { least: 0.97 }),
  ];
}
