/** A program in another language, which gets its commands line by line. */

import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Ports } from "../peer.ts";

export class Program {
  readonly #lines: AsyncIterator<string>;
  readonly #child: ReturnType<typeof spawn>;
  /** The port on which it accepts. */
  port = 0;

  constructor(file: string, { echo, sink }: Ports) {
    // It has one thread for all connections, as JavaScript does.
    const env = { ...process.env, GOMAXPROCS: "1" };
    const stdio = ["pipe", "pipe", "inherit"] as const;
    this.#child = spawn(file, [String(echo), String(sink)], { env, stdio: [...stdio] });
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  async ready(): Promise<this> {
    this.port = Number(await this.#line());
    return this;
  }

  /** Resolves when the program is done. */
  async do(command: string, count: number = 0): Promise<void> {
    this.#child.stdin!.write(`${command} ${count}\n`);
    await this.#line();
  }

  async #line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.#child.spawnfile} ended`);
    return value;
  }

  /** CPU time of all its threads so far, in us. */
  readonly cpu = (): number => {
    const tasks = `/proc/${this.#child.pid}/task`;
    return readdirSync(tasks).reduce((sum, task) => {
      const [ns = ""] = readFileSync(`${tasks}/${task}/schedstat`, "utf8").split(" ");
      return sum + Number(ns) / 1_000;
    }, 0);
  };

  /** Memory that it holds, in bytes. */
  rss(): number {
    const status = readFileSync(`/proc/${this.#child.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)![1]) * 1_024;
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }
}
