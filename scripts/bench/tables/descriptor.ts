/**
 * Finding the descriptor of somebody else's socket. Bun and Node show it; in Deno it is looked for.
 *
 * @module
 */

import { once } from "node:events";
import net from "node:net";
import { constants, getsockopt } from "../../../mod.ts";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "The descriptor of a socket that is not ours, and one getsockopt";

interface DenoConnect {
  connect(options: object): Promise<{ close(): void }>;
}

/** A connection as the runtime opens it, and how to close it. */
async function dial(port: number): Promise<{ socket: object; close(): void }> {
  const { Deno } = globalThis as unknown as { Deno?: DenoConnect };
  if (Deno !== undefined) {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    return { socket: conn, close: () => conn.close() };
  }
  const socket = net.connect(port, "127.0.0.1");
  await once(socket, "connect");
  return { socket, close: () => void socket.destroy() };
}

const { IPPROTO_TCP, TCP_NODELAY } = constants;

/** How long it takes to read an option of a socket, in us. */
function ask(socket: object): number {
  const start = performance.now();
  getsockopt(socket, IPPROTO_TCP!, TCP_NODELAY!);
  return (performance.now() - start) * 1_000;
}

function quantile(values: number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.round(part * (sorted.length - 1))]!;
}

const batch = 100;

export async function run({ peer, rounds }: Tools): Promise<Row[]> {
  const { echo } = peer.ports;
  const warm = await dial(echo);
  for (let i = 0; i < 2_000; i++) ask(warm.socket);
  warm.close();

  const rows: Row[] = [];
  const old: Awaited<ReturnType<typeof dial>>[] = [];
  let asked = 0;
  for (const open of [10, 1_000, 10_000]) {
    while (old.length < open) {
      const missing = Math.min(100, open - old.length);
      old.push(...await Promise.all(Array.from({ length: missing }, () => dial(echo))));
    }
    const fresh: number[][] = [];
    const known: number[] = [];
    for (let round = 0; round < rounds(12); round++) {
      const times: number[] = [];
      for (let i = 0; i < batch; i++) {
        const { socket, close } = await dial(echo);
        times.push(ask(socket));
        known.push(ask(socket));
        close();
      }
      fresh.push(times);
    }
    const name = `${open.toLocaleString("en")} open`;
    const medians = fresh.map((times) => quantile(times, 0.5));
    rows.push(valueRow(`${name}: a new one, median`, "us", medians, { below: 100 }));
    const worst = fresh.map((times) => quantile(times, 0.99));
    rows.push(valueRow(`${name}: a new one, p99`, "us", worst, { below: 1_000 }));
    rows.push(valueRow(`${name}: asked before, median`, "us", [quantile(known, 0.5)]));
    // Never asked about, opened before all others of this table's line.
    const first = ask(old[asked]!.socket);
    const rest = old.slice(asked + 1).map(({ socket }) => ask(socket));
    asked = old.length;
    rows.push(valueRow(`${name}: an old one, the first`, "us", [first]));
    rows.push(valueRow(`${name}: old ones after it, median`, "us", [quantile(rest, 0.5)]));
    rows.push(valueRow(`${name}: old ones after it, p99`, "us", [quantile(rest, 0.99)]));
  }
  for (const { close } of old) close();
  return rows;
}
