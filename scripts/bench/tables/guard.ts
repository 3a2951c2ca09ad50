/** What it costs to look at every socket of the process, once and all the time. */

import process from "node:process";
import { guard, sockets as list } from "../../../mod.ts";
import { sleep } from "../measure.ts";
import { many } from "../peer.ts";
import { dialNet } from "../raw/callback.ts";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Every socket of the process: a guard, per cent of a core, and one sockets()";

function cpu(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** CPU time per wall clock time, in per cent. */
async function load(ms: number): Promise<number> {
  const [start, used] = [performance.now(), cpu()];
  await sleep(ms);
  return 100 * (cpu() - used) / (performance.now() - start);
}

export async function run(tools: Tools): Promise<Row[]> {
  const { peer: { ports: { echo } }, rounds } = tools;
  const match = { remotePort: echo };
  const rows: Row[] = [];
  const sockets: Awaited<ReturnType<typeof dialNet>>[] = [];
  for (const open of [1_000, 10_000]) {
    sockets.push(...await many(open - sockets.length, () => dialNet(echo)));
    const kinds = {
      "keepAlive": { match, keepAlive: { idle: 60_000 } },
      "deadPeerTimeout: 20_000": { match, deadPeerTimeout: 20_000 },
    };
    for (const [what, options] of Object.entries(kinds)) {
      const values: number[] = [];
      using _guarded = guard({ every: 1_000, ...options });
      // Waits until the engine has optimized the code, and so long that the guard looks in the middle of each round.
      await sleep(1_500);
      for (let round = 0; round < rounds(10); round++) values.push(await load(1_000));
      const name = `${open.toLocaleString("en")} sockets, every 1,000 ms: ${what}`;
      rows.push(valueRow(name, "%", values, open > 1_000 ? undefined : { most: 1 }));
    }
    const idle: number[] = [];
    for (let round = 0; round < rounds(10); round++) idle.push(await load(300));
    rows.push(valueRow(`${open.toLocaleString("en")} sockets: without a guard`, "%", idle));
    const times: number[] = [];
    for (let round = 0; round < rounds(12); round++) {
      const before = cpu();
      const { length } = list(match);
      times.push(1_000 * (cpu() - before) / length);
    }
    const each = `${open.toLocaleString("en")} sockets: sockets()`;
    rows.push(valueRow(each, "us CPU a socket", times, { most: 10 }));
  }
  for (const socket of sockets) socket.destroy();
  return rows;
}
