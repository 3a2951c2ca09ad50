/**
 * One and two processes that accept on one port.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "reusePort: one and two processes accept on one port";

const count = 2_000;
const child = fileURLToPath(new URL("../accepting.ts", import.meta.url));
const flags = { deno: ["run", "-A", "--no-check"], bun: [], node: ["--no-warnings"] };

/** A process that accepts. Each line to it is answered with a line. */
class Accepting {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(runtime: Tools["runtime"], port: number) {
    this.#process = spawn(process.execPath, [...flags[runtime], child, String(port)], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#lines = createInterface(this.#process.stdout!)[Symbol.asyncIterator]();
  }

  async line(): Promise<number> {
    return Number((await this.#lines.next()).value);
  }

  /** How many it has accepted so far. */
  accepted(): Promise<number> {
    this.#process.stdin!.write("\n");
    return this.line();
  }

  end(): void {
    this.#process.kill("SIGKILL");
  }
}

async function measure({ peer, runtime }: Tools, processes: number) {
  const all = [new Accepting(runtime, 0)];
  try {
    const port = await all[0]!.line();
    while (all.length < processes) {
      all.push(new Accepting(runtime, port));
      await all.at(-1)!.line();
    }
    const start = performance.now();
    await peer.dial(port, count);
    let counts: number[] = [];
    do {
      counts = await Promise.all(all.map((it) => it.accepted()));
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
  for (let round = tools.rounds(5); round > 0; round--) {
    one.push((await measure(tools, 1)).rate);
    two.push(await measure(tools, 2));
  }
  return [
    valueRow("1 process", "accepts/s", one),
    valueRow("2 processes", "accepts/s", two.map(({ rate }) => rate)),
    valueRow("share of the one with less", "%", two.map(({ share }) => share)),
  ];
}
