/**
 * Accepting from a listener whose options are inherited. Connections wait in the queue before they are
 * accepted, since a process that sleeps now and then would be measured by chance.
 */

import { listening } from "../operations.ts";
import { compare, type Contest } from "../measure.ts";
import type { Peer } from "../peer.ts";
import type { RawListener } from "../raw/api.ts";
import { rateRow, type Row } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Accept, with keepalive and other options inherited from the listener";

/** How many connections at a time, fewer than any queue holds. */
const burst = 100;
const bursts = 40;

const hold = new Int32Array(new SharedArrayBuffer(4));

/** Waits without turning the event loop. */
function asleep(): void {
  Atomics.wait(hold, 0, 0, 8);
}

async function repeat(listener: RawListener, peer: Peer): Promise<void> {
  for (let i = 0; i < bursts; i++) {
    const dialled = peer.dial(listener.port, burst);
    // The command is sent, and then the queue fills.
    await new Promise((resolve) => setImmediate(resolve));
    asleep();
    await Promise.all([listener.accept(burst), dialled]);
  }
}

export async function contest({ peer, raw }: Tools): Promise<Contest> {
  const keepAlive = { idle: 60_000, interval: 10_000, count: 3 };
  const [theirs, ours] = [await raw.listen(), await listening({ keepAlive })];
  // This runs between two measurements, so that the connections of the one before are closed.
  const setup = async () => {
    await peer.drop();
    theirs.drop();
    ours.drop();
  };
  const sides = [
    { name: "raw", setup, run: () => repeat(theirs, peer) },
    { name: "accept", setup, run: () => repeat(ours, peer) },
  ];
  return { sides, operations: bursts * burst };
}

export async function run(tools: Tools): Promise<Row[]> {
  const costs = await compare(await contest(tools), { rounds: tools.rounds(13), warmup: 5 });
  // Bun forgets the peer's address when the connection ends, so each accept has to ask for it.
  const goal = { least: tools.runtime === "bun" ? 0.9 : 0.97 };
  return [rateRow(costs, "cpu", ["accept", "raw"], "connections", goal)];
}
