/** 10,000 connections with `deadPeerTimeout`: idle, and each with data in flight. */

import type { ConnectOptions } from "../../../mod.ts";
import { timers } from "../../../src/time/timers.ts";
import { dial } from "../operations.ts";
import { load, sleep } from "../measure.ts";
import { many } from "../peer.ts";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

const deadPeerTimeout = 10_000;

export const title: string = `10,000 connections with deadPeerTimeout ${deadPeerTimeout}`;

const count = 10_000;

/** Measures the alarms while idle, then the load with data in flight. */
async function watched(port: number, options: Partial<ConnectOptions>) {
  const before = timers.size;
  const all = await many(count, () => dial(port, { timeout: null, ...options }));
  const idle = timers.size - before;
  for (const socket of all) socket.write(new Uint8Array(16_384)).catch(() => {});
  // The first look at a connection finds its descriptor. The looks after it are measured.
  await sleep((options.deadPeerTimeout ?? 0) + 3_000);
  // The watch looks in bursts, which a shorter time could miss.
  const busy = await load(2 * (options.deadPeerTimeout ?? 2_500));
  for (const socket of all) socket.reset();
  await sleep(1_000);
  return { idle, busy };
}

export async function run({ peer }: Tools): Promise<Row[]> {
  const without = await watched(peer.ports.deaf, {});
  const with_ = await watched(peer.ports.deaf, { deadPeerTimeout });
  const unit = "% of a core";
  return [
    valueRow("alarms while idle", "", [with_.idle], { most: 0 }),
    valueRow("data in flight, above no watch", unit, [with_.busy - without.busy], { most: 1 }),
    valueRow("data in flight, no watch", unit, [without.busy]),
  ];
}
