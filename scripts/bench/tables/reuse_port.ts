/** One and two processes that accept on one port. */

import { fileURLToPath } from "node:url";
import { Child } from "../child.ts";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "reusePort: one and two processes accept on one port";

const count = 2_000;
/** It prints its port, and for each line of input how many connections it has accepted. */
const script = fileURLToPath(new URL("../accepting.ts", import.meta.url));

async function measure({ peer, command }: Tools, processes: number) {
  const all: Child[] = [];
  let port = 0;
  try {
    while (all.length < processes) {
      const child = new Child([...command, script, String(port)]);
      all.push(child);
      port = Number(await child.line());
    }
    const start = performance.now();
    await peer.dial(port, count);
    let counts: number[] = [];
    do {
      counts = await Promise.all(all.map(async (child) => Number(await child.ask(""))));
    } while (counts.reduce((sum, it) => sum + it, 0) < count);
    const rate = count / (performance.now() - start) * 1_000;
    await peer.drop();
    return { rate, share: Math.min(...counts) / count * 100 };
  } finally {
    for (const child of all) child.stop();
  }
}

export async function run(tools: Tools): Promise<Row[]> {
  const one: number[] = [];
  const two: { rate: number; share: number }[] = [];
  for (let round = tools.rounds(10); round > 0; round--) {
    one.push((await measure(tools, 1)).rate);
    two.push(await measure(tools, 2));
  }
  return [
    valueRow("1 process", "accepts/s", one),
    valueRow("2 processes", "accepts/s", two.map(({ rate }) => rate)),
    valueRow("share of the one with less", "%", two.map(({ share }) => share)),
  ];
}
