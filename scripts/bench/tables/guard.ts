/** The share of a core that a guard uses while other libraries' sockets do not change. */

import process from "node:process";
import { guard } from "../../../mod.ts";
import { many } from "../peer.ts";
import { dialNet } from "../raw/callback.ts";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "A guard, per cent of a core";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function cpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** CPU time per wall clock time, in per cent. */
async function load(ms: number): Promise<number> {
  const [start, used] = [performance.now(), cpu()];
  await pause(ms);
  return 100 * (cpu() - used) / (performance.now() - start);
}

export async function run(tools: Tools): Promise<Row[]> {
  const { peer: { ports: { echo } }, rounds } = tools;
  const match = { remotePort: echo };
  const rows: Row[] = [];
  const sockets: Awaited<ReturnType<typeof dialNet>>[] = [];
  for (const open of [10, 1_000, 10_000]) {
    sockets.push(...await many(open - sockets.length, () => dialNet(echo)));
    const kinds = {
      "keepAlive": { match, keepAlive: { idle: 60_000 } },
      "deadPeerTimeout: 20_000": { match, deadPeerTimeout: 20_000 },
    };
    for (const [what, options] of Object.entries(kinds)) {
      const values: number[] = [];
      using _guarded = guard({ every: 1_000, ...options });
      // Runs the code until the engine has optimized it.
      await load(3_000);
      for (let round = 0; round < rounds(5); round++) {
        values.push(await load(4_000));
      }
      const name = `${open.toLocaleString("en")} sockets, every 1,000 ms: ${what}`;
      rows.push(valueRow(name, "%", values, open > 1_000 ? undefined : { most: 1 }));
    }
    const idle: number[] = [];
    for (let round = 0; round < rounds(5); round++) idle.push(await load(2_000));
    rows.push(valueRow(`${open.toLocaleString("en")} sockets: without a guard`, "%", idle));
  }
  for (const socket of sockets) socket.destroy();
  return rows;
}
