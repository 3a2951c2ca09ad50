/** Another process of a measurement, which answers line by line. */

import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";

export class Child {
  readonly #lines: AsyncIterator<string>;
  readonly #child: ChildProcess;

  constructor([program = "", ...args]: readonly string[], env: Record<string, string> = {}) {
    const child = spawn(program, args, {
      env: { ...process.env, ...env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** The next line that it prints. */
  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.#child.spawnfile} ended`);
    return value;
  }

  /** Sends a line, and resolves to the answer. */
  ask(line: string): Promise<string> {
    this.#child.stdin!.write(`${line}\n`);
    return this.line();
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
