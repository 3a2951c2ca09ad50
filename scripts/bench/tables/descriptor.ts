/** Finding the descriptor of a socket. Bun and Node show it, and in Deno it has to be searched for. */

import { constants, getsockopt } from "../../../mod.ts";
import { quantile } from "../measure.ts";
import { many } from "../peer.ts";
import { dialNet } from "../raw/callback.ts";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "The descriptor of a socket that is not ours, and one getsockopt";

/** A connection as the runtime opens it, and how to close it. */
async function dial({ raw }: Tools, port: number): Promise<{ socket: object; close(): void }> {
  // This is Deno, whose raw side is the runtime's own connection.
  if (raw.style === "await") {
    const conn = await raw.dial(port);
    return { socket: conn, close: () => conn.close() };
  }
  const socket = await dialNet(port);
  return { socket, close: () => void socket.destroy() };
}

const { IPPROTO_TCP, TCP_NODELAY } = constants;

/** How long it takes to read an option of a socket, in us. */
function ask(socket: object): number {
  const start = performance.now();
  getsockopt(socket, IPPROTO_TCP!, TCP_NODELAY!);
  return (performance.now() - start) * 1_000;
}

const batch = 100;

export async function run(tools: Tools): Promise<Row[]> {
  const { peer: { ports: { echo } }, rounds } = tools;
  const warm = await dial(tools, echo);
  for (let i = 0; i < 2_000; i++) ask(warm.socket);
  warm.close();

  const rows: Row[] = [];
  const old: Awaited<ReturnType<typeof dial>>[] = [];
  let asked = 0;
  for (const open of [10, 1_000, 10_000]) {
    old.push(...await many(open - old.length, () => dial(tools, echo)));
    const fresh: number[][] = [];
    const known: number[] = [];
    for (let round = 0; round < rounds(12); round++) {
      const times: number[] = [];
      for (let i = 0; i < batch; i++) {
        const { socket, close } = await dial(tools, echo);
        times.push(ask(socket));
        known.push(ask(socket));
        close();
      }
      fresh.push(times);
    }
    const name = `${open.toLocaleString("en")} open`;
    const add = (what: string, values: number[], goal?: Row["goal"]) =>
      rows.push(valueRow(`${name}: ${what}`, "us", values, goal));
    add("a new one, median", fresh.map((times) => quantile(times, 0.5)), { below: 100 });
    add("a new one, p99", fresh.map((times) => quantile(times, 0.99)), { below: 1_000 });
    add("asked before, median", [quantile(known, 0.5)]);
    // It was opened before all others of this row, and never looked up.
    add("an old one, the first", [ask(old[asked]!.socket)]);
    const rest = old.slice(asked + 1).map(({ socket }) => ask(socket));
    asked = old.length;
    add("old ones after it, median", [quantile(rest, 0.5)]);
    add("old ones after it, p99", [quantile(rest, 0.99)]);
  }
  for (const { close } of old) close();
  return rows;
}
