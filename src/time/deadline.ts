/**
 * A point in time that several calls share.
 *
 * @module
 */

import { brand } from "../brand.ts";
import { fail } from "../check.ts";
import { timers } from "./timers.ts";

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
  /** The span it was made with, in ms. */
  readonly timeout: number;
  /** When it passes, in ms on the clock of `performance.now()`. */
  readonly at: number;

  private constructor(timeout: number) {
    this.timeout = timeout;
    this.at = timers.now() + timeout;
  }

  /**
   * A deadline that passes `ms` milliseconds from now.
   *
   * @param ms A positive, finite number of milliseconds; fractions are fine.
   * @throws {TypeError} `ms` is not a number.
   * @throws {RangeError} `ms` is 0, negative, `NaN` or infinite.
   */
  static after(ms: number): Deadline {
    const expected = "must be a positive number of milliseconds";
    if (typeof ms !== "number") fail(TypeError, "make a deadline", "ms", expected, ms);
    if (!(ms > 0 && ms < Infinity)) fail(RangeError, "make a deadline", "ms", expected, ms);
    return new Deadline(ms);
  }

  /** Milliseconds that are left, 0 when it has passed. */
  get remaining(): number {
    return Math.max(0, this.at - timers.now());
  }

  /** Whether it has passed. */
  get expired(): boolean {
    return timers.now() >= this.at;
  }
}

brand(Deadline, "Deadline");
