/** A point in time that several calls share. */

import { brand } from "../brand.ts";
import { checkNumber } from "../check.ts";
import { TimeoutError } from "../errors.ts";
import { Alarm, timers } from "./timers.ts";

/**
 * A point in time that several calls share, so that a whole exchange has one limit. It counts on the
 * monotonic clock, so that setting the wall clock moves nothing. A call whose deadline has passed
 * always rejects with `TimeoutError`, also when data is ready, and the data is kept.
 *
 * @example One limit for a whole exchange
 * ```ts
 * import { connect, Deadline, listen } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 5_000 });
 * using client = await connect({ port: listener.addr.port, timeout: 5_000 });
 * using server = await listener.accept();
 *
 * const deadline = Deadline.after(1_000);
 * await client.write(new TextEncoder().encode("ping"), { deadline });
 * await server.read(new Uint8Array(64), { deadline });
 * console.log(deadline.expired, deadline.remaining <= 1_000); // false true
 * ```
 */
export class Deadline {
  /** The time it was made with, in ms; 0 when that was 0 or less. */
  readonly timeout: number;
  /** When it passes, in ms on the clock of `performance.now()`. */
  readonly at: number;
  #signal: AbortSignal | undefined = undefined;

  private constructor(timeout: number) {
    this.timeout = timeout;
    this.at = timers.now() + timeout;
  }

  /**
   * A deadline that passes `ms` milliseconds from now.
   *
   * @param ms A finite number of milliseconds; fractions are fine. With 0 or less the deadline has passed
   * already, and every call rejects with {@linkcode TimeoutError}.
   * @throws {TypeError} `ms` is not a number.
   * @throws {RangeError} `ms` is `NaN` or infinite.
   */
  static after(ms: number): Deadline {
    const { MAX_VALUE } = Number;
    const expected = "must be a finite number of milliseconds";
    checkNumber(ms, "ms", -MAX_VALUE, MAX_VALUE, "make a deadline", expected);
    return new Deadline(Math.max(0, ms));
  }

  /** Milliseconds that are left, 0 when it has passed. */
  get remaining(): number {
    return Math.max(0, this.at - timers.now());
  }

  /** Whether it has passed. */
  get expired(): boolean {
    return timers.now() >= this.at;
  }

  /**
   * A signal that aborts when the deadline passes, for `fetch` and whatever else takes one. Its reason is a
   * {@linkcode TimeoutError} whose `operation` is `"finish"`. Each access returns the same signal, and it
   * does not keep the process alive.
   *
   * @example One limit for a connection and a computation
   * ```ts
   * import { Deadline } from "@holdfast/tcp";
   *
   * const { signal } = Deadline.after(10);
   * await new Promise((resolve) => setTimeout(resolve, 50));
   * console.log(signal.aborted, signal.reason.message); // true Cannot finish within 10 ms
   * ```
   */
  get signal(): AbortSignal {
    if (this.#signal !== undefined) return this.#signal;
    const passing = new Passing(this.timeout);
    if (this.expired) passing.ring();
    else timers.arm(passing, this.at);
    return this.#signal = passing.controller.signal;
  }
}

/** Aborts a deadline's signal when its time has come. */
class Passing extends Alarm {
  readonly controller: AbortController = new AbortController();
  readonly #timeout: number;

  constructor(timeout: number) {
    super();
    this.#timeout = timeout;
  }

  override ring(): void {
    this.controller.abort(new TimeoutError({ operation: "finish", timeout: this.#timeout }));
  }
}

brand(Deadline, "Deadline");
