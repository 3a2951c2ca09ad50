/** 10,000 open connections, each with a pending read that has a limit. */

import { countNativeTimers } from "../../../tests/support/native_timers.ts";
import { Alarm, timers } from "../../../src/time/timers.ts";
import { dial } from "../operations.ts";
import { compare, type Side } from "../measure.ts";
import { type Memory, waiting } from "../memory.ts";
import { cpuRow, type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "10,000 open connections, each with a pending read and a limit";

const count = 10_000;
const operations = 20_000;

class Silent extends Alarm {
  override ring(): void {}
}

/** Arms and disarms one alarm, each time for later, beside `others` in the queue. */
function arming(name: string, others: number): Side {
  const alarm = new Silent();
  const rest = Array.from({ length: others }, () => new Silent());
  return {
    name,
    setup() {
      const now = timers.now();
      for (const [i, other] of rest.entries()) timers.arm(other, now + 60_000 + i % 1_000);
      return Promise.resolve();
    },
    run() {
      const now = timers.now();
      for (let i = 0; i < operations; i++) {
        timers.arm(alarm, now + 30_000 + i);
        timers.remove(alarm);
      }
      return Promise.resolve();
    },
  };
}

export async function run({ peer, raw, runtime, rounds }: Tools): Promise<Row[]> {
  const { running } = countNativeTimers();
  const port = peer.ports.sink;
  const theirs = () => raw.dial(port);
  const ours = () => dial(port, { timeout: 600_000 });
  // The first connections also load code and object shapes.
  for (const each of [theirs, ours]) await waiting(100, each);
  const bare = await waiting(count, theirs);
  const { leastRead } = raw;
  const least: Memory[] = [];
  if (leastRead !== undefined) least.push(await waiting(count, theirs, leastRead));
  let native = 0;
  const limited = await waiting(count, ours, undefined, () => native = running.size);

  const what = "arm and disarm beside 10,000 others";
  const alone = "beside 10 others";
  const sides = [arming(alone, 10), arming(what, 10_000)];
  const costs = await compare({ sides, operations }, { rounds: rounds(15), warmup: 3 });
  const unit = "B a connection";
  // Deno's reads cannot be cancelled, so each takes memory of its own.
  const most = runtime === "deno" ? 1_000 : 512;
  return [
    // There is one timer for all limits, and one that keeps the process alive while calls wait.
    valueRow("native timers", "", [native], { most: 2 }),
    valueRow("heap above raw", unit, [limited.heap - bare.heap], { most }),
    ...least.map(({ heap }) => valueRow("heap above raw, least", unit, [heap - bare.heap])),
    valueRow("buffers above raw", unit, [limited.external - bare.external]),
    valueRow("heap, raw", unit, [bare.heap]),
    cpuRow(costs, [what, alone]),
  ];
}
