/** What it costs to look at every socket of the process, once and all the time. */

import { guard, sockets as list } from "../../../mod.ts";
import { cpuTime, load, sleep } from "../measure.ts";
import { many } from "../peer.ts";
import { dialNet } from "../raw/callback.ts";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Every socket of the process: a guard, per cent of a core, and one sockets()";

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
      const before = cpuTime();
      const { length } = list(match);
      times.push((cpuTime() - before) / length);
    }
    const each = `${open.toLocaleString("en")} sockets: sockets()`;
    rows.push(valueRow(each, "us CPU a socket", times, { most: 10 }));
  }
  for (const socket of sockets) socket.destroy();
  return rows;
}
