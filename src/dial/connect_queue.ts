/** Queues attempts to connect, for a runtime that cannot make many at the same time. */

import type { Attempt, Transport } from "../adapter.ts";
import { nativeTimers } from "../time/native_timers.ts";
import { Settling } from "../time/settling.ts";

/** An attempt that takes longer than this, ms, waits for the network and not for the runtime. */
const swift = 50;

/**
 * Limits how many attempts run at once, not counting those that wait for the network. It has numbers in
 * place of a set of attempts: V8 keeps the old tables of a set that changes, and with them what was in it,
 * until a full collection, which made each connect 3 us dearer.
 */
export class ConnectQueue {
  readonly #limit: number;
  /** How many attempts count: those that have started in this period, and in the one before. */
  #young = 0;
  #old = 0;
  /** The number of the period, which ends when a look at the older attempts begins. */
  #period = 0;
  readonly #waiting: Waiting[] = [];
  #ticking = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Starts an attempt now, or puts it at the end of the queue. */
  enter(start: () => Attempt): Attempt {
    if (this.#hasRoom && this.#waiting.length === 0) return this.#start(start);
    const waiting = new Waiting(start);
    this.#waiting.push(waiting);
    this.#tick();
    return waiting;
  }

  get #hasRoom(): boolean {
    return this.#young + this.#old < this.#limit;
  }

  #start(start: () => Attempt): Attempt {
    const attempt = start();
    const period = this.#period;
    this.#young++;
    const over = () => this.#over(period);
    attempt.opened.then(over, over);
    return attempt;
  }

  /** An attempt of that period is over. Those of earlier periods than the last two do not count any more. */
  #over(period: number): void {
    if (period === this.#period) this.#young--;
    else if (period === this.#period - 1 && this.#ticking) this.#old--;
    else return;
    this.#advance();
  }

  #advance(): void {
    while (this.#hasRoom) {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) return;
      waiting.go((start) => this.#start(start));
    }
  }

  /** Looks at what runs now once more when it cannot be swift any more. */
  #tick(): void {
    if (this.#ticking) return;
    this.#ticking = true;
    this.#period++;
    this.#old = this.#young;
    this.#young = 0;
    nativeTimers().setTimeout(() => {
      this.#ticking = false;
      this.#old = 0;
      this.#advance();
      if (this.#waiting.length > 0) this.#tick();
    }, swift);
  }
}

/** An attempt that may have to wait for its start. */
class Waiting implements Attempt {
  readonly #settling = new Settling<Transport>();
  readonly opened: Promise<Transport> = this.#settling.promise;
  #start: (() => Attempt) | undefined;
  #attempt: Attempt | undefined = undefined;

  constructor(start: () => Attempt) {
    this.#start = start;
  }

  /** Starts by `begin`, unless it was aborted meanwhile. */
  go(begin: (start: () => Attempt) => Attempt): void {
    const start = this.#start;
    if (start === undefined) return;
    this.#start = undefined;
    try {
      this.#attempt = begin(start);
      this.#settling.resolve(this.#attempt.opened);
    } catch (cause) {
      this.#settling.reject(cause);
    }
  }

  fd(): number | undefined {
    return this.#attempt?.fd?.();
  }

  abort(): void | Promise<unknown> {
    this.#start = undefined;
    return this.#attempt?.abort();
  }
}
