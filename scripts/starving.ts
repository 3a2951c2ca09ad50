/**
 * Measures how long single connections wait under full load: streams that send as fast as they can, beside
 * ping-pongs, in one process, over Deno's own sockets and over this library's.
 *
 *     deno run -A scripts/starving.ts
 */

import process from "node:process";
import { connect, listen } from "../mod.ts";

const streams = 30;
const pingPongs = 100;
const seconds = 8;

interface Conn {
  read(into: Uint8Array): Promise<number | null>;
  write(data: Uint8Array): Promise<number>;
  close(): void;
}

interface Side {
  addr: { port: number };
  accept(): Promise<Conn>;
  close(): void;
}

/** The part of `Deno` that is used. */
interface DenoNet {
  listen(options: { hostname: string; port: number }): Side;
  connect(options: { hostname: string; port: number }): Promise<Conn>;
}

function native(): [Side, (port: number) => Promise<Conn>] {
  const { Deno } = globalThis as unknown as { Deno: DenoNet };
  const hostname = "127.0.0.1";
  return [Deno.listen({ hostname, port: 0 }), (port) => Deno.connect({ hostname, port })];
}

async function ours(): Promise<[Side, (port: number) => Promise<Conn>]> {
  const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: null });
  return [listener, (port) => connect({ hostname: "127.0.0.1", port, timeout: null })];
}

/** The longest time that each stream and each ping-pong had to wait, ms. */
async function measure([listener, dial]: [Side, (port: number) => Promise<Conn>]) {
  // Opened one after the other, so that they are accepted in the same order.
  const pairs: (readonly [near: Conn, far: Conn])[] = [];
  while (pairs.length < streams + pingPongs) {
    pairs.push(await Promise.all([dial(listener.addr.port), listener.accept()]));
  }
  const left = pairs.values();
  const end = performance.now() + seconds * 1_000;
  const going = () => performance.now() < end;
  const gaps = (
    count: number,
    run: (pair: readonly [Conn, Conn], turn: () => void) => Promise<void>,
  ) => {
    const last = new Array<number>(count).fill(performance.now());
    const longest = new Array<number>(count).fill(0);
    for (let i = 0; i < count; i++) {
      const turn = () => {
        const now = performance.now();
        longest[i] = Math.max(longest[i]!, now - last[i]!);
        last[i] = now;
      };
      // The time since the last turn counts too.
      run(left.next().value!, turn).catch(() => {});
    }
    return () => longest.map((ms, i) => Math.max(ms, end - last[i]!));
  };
  const chunk = new Uint8Array(65_536);
  const streaming = gaps(streams, async ([near, far], turn) => {
    (async () => {
      while (going()) await near.write(chunk);
    })().catch(() => {});
    for (const into = new Uint8Array(65_536); going();) {
      await far.read(into);
      turn();
    }
  });
  const pinging = gaps(pingPongs, async ([near, far], turn) => {
    const small = new Uint8Array(64);
    (async () => {
      for (const into = new Uint8Array(64); await far.read(into) !== null;) await far.write(into);
    })().catch(() => {});
    for (const into = new Uint8Array(64); going();) {
      await near.write(small);
      await near.read(into);
      turn();
    }
  });
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
  const result = { streams: streaming(), pingPongs: pinging() };
  for (const conn of pairs.flat()) conn.close();
  listener.close();
  return result;
}

for (const [name, start] of Object.entries({ native, ours })) {
  const result = await measure(await start());
  for (const [what, gaps] of Object.entries(result)) {
    gaps.sort((a, b) => a - b);
    const [median, worst] = [gaps[gaps.length >> 1]!, gaps.at(-1)!];
    console.log(
      `${name.padEnd(6)} | ${String(gaps.length).padStart(3)} ${what.padEnd(9)} | ` +
        `longest wait: median ${median.toFixed(0)} ms, worst ${worst.toFixed(0)} ms`,
    );
  }
}
process.exit(0);
