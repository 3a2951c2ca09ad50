/** One and two processes that accept on one port. */

import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "reusePort: one and two processes accept on one port";

const count = 2_000;
const child = fileURLToPath(new URL("../accepting.ts", import.meta.url));

/** A process that accepts. It prints its port, and for each line of input how many it has accepted. */
function accepting([program = "", ...flags]: string[], port: number) {
  const all = [...flags, child, String(port)];
  const accepting = spawn(program, all, { stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface(accepting.stdout)[Symbol.asyncIterator]();
  return {
    line: async () => Number((await lines.next()).value),
    ask: () => accepting.stdin.write("\n"),
    end: () => accepting.kill("SIGKILL"),
  };
}

async function measure({ peer, command }: Tools, processes: number) {
  const all = [accepting(command, 0)];
  try {
    const port = await all[0]!.line();
    while (all.length < processes) {
      all.push(accepting(command, port));
      await all.at(-1)!.line();
    }
    const start = performance.now();
    await peer.dial(port, count);
    let counts: number[] = [];
    do {
      for (const it of all) it.ask();
      counts = await Promise.all(all.map((it) => it.line()));
    } while (counts.reduce((sum, it) => sum + it, 0) < count);
    const rate = count / (performance.now() - start) * 1_000;
    await peer.drop();
    return { rate, share: Math.min(...counts) / count * 100 };
  } finally {
    for (const it of all) it.end();
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
