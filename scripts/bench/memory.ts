/**
 * Memory that connections take, after garbage collection.
 *
 * @module
 */

import process from "node:process";
import { many } from "./peer.ts";

interface BunHeap {
  heapStats(): { heapSize: number; extraMemorySize: number };
}

export interface Memory {
  /** Objects, in bytes. */
  heap: number;
  /** Memory that objects own outside the heap, such as that of buffers, in bytes. */
  external: number;
}

function collect(): void {
  const { gc, Bun } = globalThis as unknown as {
    gc?(): void;
    Bun?: { gc(sync: boolean): void };
  };
  if (Bun === undefined) gc!();
  else Bun.gc(true);
}

/** What lives now. Closed sockets need some turns of the event loop until nothing holds them. */
export async function memory(): Promise<Memory> {
  let last = Infinity;
  for (;;) {
    const { heap, external } = await collected();
    if (heap + external > last - 20_000) return { heap, external };
    last = heap + external;
  }
}

async function collected(): Promise<Memory> {
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  if ("Bun" in globalThis) {
    const { heapStats } = process.getBuiltinModule("bun:jsc") as unknown as BunHeap;
    const { heapSize, extraMemorySize } = heapStats();
    return { heap: heapSize, external: extraMemorySize };
  }
  const { heapUsed, external } = process.memoryUsage();
  return { heap: heapUsed, external };
}

/** Bytes that each of `count` holds, while `make` and its promises live. */
export async function each<Thing extends object>(
  count: number,
  make: () => Promise<Thing>,
): Promise<{ memory: Memory; all: Thing[] }> {
  const before = await memory();
  const all = await many(count, make);
  const after = await memory();
  return {
    memory: {
      heap: (after.heap - before.heap) / count,
      external: (after.external - before.external) / count,
    },
    all,
  };
}
