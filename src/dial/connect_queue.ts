/**
 * Queues attempts to connect, for a runtime that cannot make many at the same time.
 *
 * @module
 */

import type { Attempt, Transport } from "../adapter.ts";
import { nativeTimers } from "../time/native_timers.ts";

/** An attempt that takes longer than this, ms, waits for the network and not for the runtime. */
const swift = 50;

/** Limits how many attempts run at once, not counting those that wait for the network. */
export class ConnectQueue {
  readonly #limit: number;
  /** The attempts that still count. */
  readonly #running: Set<object> = new Set();
  readonly #waiting: Set<Waiting> = new Set();
  #ticking = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Starts an attempt now, or puts it at the end of the queue. */
  enter(start: () => Attempt): Attempt {
    if (this.#running.size < this.#limit && this.#waiting.size === 0) return this.#start(start);
    const waiting = new Waiting(start, this.#waiting);
    this.#tick();
    return waiting;
  }

  #start(start: () => Attempt): Attempt {
    const attempt = start();
    this.#running.add(attempt);
    const over = () => {
      if (this.#running.delete(attempt)) this.#advance();
    };
    attempt.opened.then(over, over);
    return attempt;
  }

  #advance(): void {
    for (const waiting of this.#waiting) {
      if (this.#running.size >= this.#limit) return;
      waiting.go((start) => this.#start(start));
    }
  }

  /** Looks at what runs now once more when it cannot be swift any more. */
  #tick(): void {
    if (this.#ticking) return;
    this.#ticking = true;
    const running = [...this.#running];
    nativeTimers().setTimeout(() => {
      this.#ticking = false;
      for (const attempt of running) this.#running.delete(attempt);
      this.#advance();
      if (this.#waiting.size > 0) this.#tick();
    }, swift);
  }
}

/** An attempt that may have to wait for its start. */
class Waiting implements Attempt {
  readonly opened: Promise<Transport>;
  readonly #start: () => Attempt;
  readonly #queue: Set<Waiting>;
  #attempt: Attempt | undefined = undefined;
  #resolve!: (transport: Promise<Transport>) => void;

  constructor(start: () => Attempt, queue: Set<Waiting>) {
    this.#start = start;
    this.#queue = queue.add(this);
    this.opened = new Promise((resolve) => this.#resolve = resolve);
  }

  go(begin: (start: () => Attempt) => Attempt): void {
    this.#queue.delete(this);
    try {
      this.#attempt = begin(this.#start);
      this.#resolve(this.#attempt.opened);
    } catch (cause) {
      this.#resolve(Promise.reject(cause));
    }
  }

  fd(): number | undefined {
    return this.#attempt?.fd?.();
  }

  abort(): void {
    this.#queue.delete(this);
    this.#attempt?.abort();
  }
}
