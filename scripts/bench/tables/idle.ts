/**
 * 10,000 open connections, each with a pending read that has a limit.
 *
 * @module
 */

import process from "node:process";
import { connect } from "../../../mod.ts";
import { Alarm, timers } from "../../../src/time/timers.ts";
import { compare, type Side } from "../measure.ts";
import { each } from "../memory.ts";
import type { Bare } from "../raw/api.ts";
import { cpuRow, type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "10,000 open connections, each with a pending read and a limit";

const count = 10_000;
const operations = 20_000;

/** Native timers that run, counted where the library starts them. */
function countTimers(): () => number {
  const module = process.getBuiltinModule("node:timers") as {
    setTimeout: (...args: never[]) => object;
    clearTimeout: (timer: object | undefined) => void;
  };
  const { setTimeout, clearTimeout } = module;
  const running = new Set<object>();
  module.setTimeout = (wake: (...args: never[]) => void, ...rest: never[]) => {
    const timer: object = setTimeout(
      ...[(...args: never[]) => {
        running.delete(timer);
        wake(...args);
      }, ...rest] as never[],
    );
    running.add(timer);
    return timer;
  };
  module.clearTimeout = (timer) => {
    running.delete(timer!);
    clearTimeout(timer);
  };
  return () => running.size;
}

/** A connection that waits for bytes which never come. */
export async function waiting(
  dial: () => Promise<Bare>,
  read: (conn: Bare, into: Uint8Array) => Promise<unknown> = (conn, into) => conn.read(into),
): Promise<Bare> {
  const conn = await dial();
  read(conn, new Uint8Array(64)).catch(() => {});
  return conn;
}

class Silent extends Alarm {
  override ring(): void {}
}

/** Arms and disarms one alarm, for later times each, beside `others`. */
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

export async function run({ peer, raw, rounds }: Tools): Promise<Row[]> {
  const running = countTimers();
  const port = peer.ports.sink;
  const options = { hostname: "127.0.0.1", port, timeout: 600_000 };
  // The first ones bring code and shapes with them.
  for (const conn of (await each(100, () => waiting(() => raw.dial(port)))).all) conn.close();
  for (const conn of (await each(100, () => waiting(() => connect(options)))).all) conn.close();
  const theirs = await each(count, () => waiting(() => raw.dial(port)));
  for (const conn of theirs.all.splice(0)) conn.close();
  const { leastRead } = raw;
  const least = leastRead && await each(count, () => waiting(() => raw.dial(port), leastRead));
  for (const conn of least?.all.splice(0) ?? []) conn.close();
  const ours = await each(count, () => waiting(() => connect(options)));
  const native = running();
  for (const conn of ours.all.splice(0)) conn.close();

  const what = "arm and disarm beside 10,000 others";
  const alone = "beside 10 others";
  const sides = [arming(alone, 10), arming(what, 10_000)];
  const costs = await compare(sides, { operations, rounds: rounds(15), warmup: 3 });
  const { heap, external } = theirs.memory;
  return [
    valueRow("native timers", "", [native], { most: 1 }),
    valueRow("heap above raw", "B a connection", [ours.memory.heap - heap], { most: 512 }),
    ...(least === undefined ? [] : [least.memory.heap - heap]).map((bytes) =>
      valueRow("heap above raw, least", "B a connection", [bytes])
    ),
    valueRow("buffers above raw", "B a connection", [ours.memory.external - external]),
    valueRow("heap, raw", "B a connection", [heap]),
    cpuRow(costs, what, alone, "us CPU"),
  ];
}
