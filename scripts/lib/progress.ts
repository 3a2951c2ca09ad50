/**
 * Shows which files are running: at the bottom of a terminal, or every few seconds as a line of its own
 * where the output is not a terminal.
 */

import process from "node:process";
import { seconds } from "./counts.ts";

const every = 10_000;

/** The names of what runs, and since when. */
export class Progress {
  readonly #running = new Map<string, number>();
  readonly #terminal = process.stdout.isTTY === true;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor() {
    this.#timer = setInterval(() => this.#show(), this.#terminal ? 1_000 : every);
  }

  /** Runs `task`, and shows its name meanwhile. */
  async during<T>(name: string, task: () => Promise<T>): Promise<T> {
    this.#running.set(name, performance.now());
    try {
      return await task();
    } finally {
      this.#running.delete(name);
    }
  }

  /** Prints complete lines, without mixing them with the list. */
  print(text: string): void {
    if (this.#terminal) process.stdout.write("\r\x1b[K");
    console.log(text);
  }

  close(): void {
    clearInterval(this.#timer);
    if (this.#terminal) process.stdout.write("\r\x1b[K");
  }

  #show(): void {
    const now = performance.now();
    const all = [...this.#running].map(([name, start]) => `${name} ${seconds(now - start)}`);
    if (all.length === 0) return;
    const line = `  running: ${all.join("; ")}`;
    if (this.#terminal) {
      process.stdout.write(`\r\x1b[K${line.slice(0, (process.stdout.columns ?? 80) - 1)}`);
    } else console.log(line);
  }
}
