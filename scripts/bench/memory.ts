/** Measures the memory that connections take, after garbage collection. */

import process from "node:process";
import { sleep } from "./measure.ts";
import { many } from "./peer.ts";
import type { Bare } from "./raw/api.ts";

interface BunHeap {
  heapStats(): { heapSize: number; extraMemorySize: number };
}

export interface Memory {
  /** Memory of objects in the heap, in bytes. */
  heap: number;
  /** Memory that objects own outside the heap, such as that of buffers, in bytes. */
  external: number;
}

/** Collects garbage. */
export function collect(): void {
  const { gc, Bun } = globalThis as unknown as {
    gc?(): void;
    Bun?: { gc(sync: boolean): void };
  };
  if (Bun === undefined) gc!();
  else Bun.gc(true);
}

/** The memory in use. Closed sockets are free only after some turns of the event loop. */
async function memory(): Promise<Memory> {
  for (let last = Infinity;;) {
    for (let i = 0; i < 5; i++) {
      collect();
      await sleep(50);
    }
    const now = reported();
    const sum = now.heap + now.external;
    if (sum > last - 20_000) return now;
    last = sum;
  }
}

function reported(): Memory {
  if ("Bun" in globalThis) {
    const { heapStats } = process.getBuiltinModule("bun:jsc") as unknown as BunHeap;
    const { heapSize, extraMemorySize } = heapStats();
    return { heap: heapSize, external: extraMemorySize };
  }
  const { heapUsed, external } = process.memoryUsage();
  return { heap: heapUsed, external };
}

/** Opens `count` connections, each of which waits for data that never comes. */
export function openReading<Conn extends Bare>(
  count: number,
  dial: () => Promise<Conn>,
  read: (conn: Conn, into: Uint8Array) => Promise<unknown> = (conn, into) => conn.read(into),
): Promise<Conn[]> {
  return many(count, async () => {
    const conn = await dial();
    read(conn, new Uint8Array(64)).catch(() => {});
    return conn;
  });
}

/** Bytes that each of `count` connections takes while it waits for data that never comes. */
export async function waiting(
  count: number,
  dial: () => Promise<Bare>,
  read?: (conn: Bare, into: Uint8Array) => Promise<unknown>,
  /** Called while they wait. */
  look: () => void = () => {},
): Promise<Memory> {
  const before = await memory();
  const all = await openReading(count, dial, read);
  const after = await memory();
  look();
  for (const conn of all) conn.close();
  return {
    heap: (after.heap - before.heap) / count,
    external: (after.external - before.external) / count,
  };
}
