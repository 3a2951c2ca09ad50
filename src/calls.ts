/**
 * Calls that wait, each with its own limits: what `read`, `write` and `accept` have in common.
 *
 * @module
 */

import type { Deadline } from "./deadline.ts";
import { TimeoutError, type TimeoutErrorOptions } from "./errors.ts";
import { Alarm, type TimerQueue } from "./timers.ts";

/** Limits of one call. The earliest counts; `timeout` overrides the connection's. */
export interface CallOptions {
  /** Longest wait in ms, or `null` for none. Default: the connection's or listener's timeout. */
  timeout?: number | null;
  /** A point in time, shared with other calls. */
  deadline?: Deadline;
  /** Ends the wait with its reason. */
  signal?: AbortSignal;
}

/** Says in a sentence what the kernel knows of a socket at this moment. */
export type Diagnose = (native: object, timers: TimerQueue) => string | undefined;

/** One pending call: its promise, its alarm and its signal. */
export class Call<Result> extends Alarm {
  resolve!: (result: Result) => void;
  reject!: (error: unknown) => void;
  /** The limit that rings, in ms. */
  timeout = 0;
  signal: AbortSignal | undefined = undefined;
  next: this | undefined = undefined;
  previous: this | undefined = undefined;
  readonly #queue: CallQueue<Result, Call<Result>>;

  constructor(queue: CallQueue<Result, Call<Result>>) {
    super();
    this.#queue = queue;
  }

  override ring(): void {
    this.#queue.expired(this);
  }

  /** The signal's abort event. */
  handleEvent(): void {
    this.#queue.aborted(this);
  }
}

/** The call whose promise is being made: an executor runs at once, so one is enough for all. */
let making: { resolve(result: never): void; reject(error: unknown): void };

function capture(resolve: (result: never) => void, reject: (error: unknown) => void): void {
  making.resolve = resolve;
  making.reject = reject;
}

/** What a queue needs from its owner. */
export interface CallOwner<Result, C extends Call<Result>> {
  /** A new call; the queue keeps one for reuse. */
  create(queue: CallQueue<Result, C>): C;
  /** Particulars of the error of a call that ran out of time. */
  describe(call: C): Omit<TimeoutErrorOptions, "timeout">;
  /** `call` has left the queue unserved. */
  left?(call: C, reason: unknown): unknown;
}

/** First come, first served. */
export class CallQueue<Result, C extends Call<Result>> {
  head: C | undefined = undefined;
  #tail: C | undefined = undefined;
  /** The call that ended last, still in the timer queue, where the next one finds it for nothing. */
  #spare: C | undefined = undefined;
  readonly #owner: CallOwner<Result, C>;
  readonly timers: TimerQueue;

  constructor(owner: CallOwner<Result, C>, timers: TimerQueue) {
    this.#owner = owner;
    this.timers = timers;
  }

  /** A call to fill in, then to `enter`. */
  take(): C {
    const spare = this.#spare;
    if (spare === undefined) return this.#owner.create(this);
    this.#spare = undefined;
    return spare;
  }

  /**
   * Why a call with these options is over before it starts.
   * An object, since the reason of an abort may be `undefined`.
   */
  refusal({ signal, deadline }: CallOptions): { reason: unknown } | undefined {
    if (signal?.aborted) return { reason: signal.reason };
    if (deadline === undefined || deadline.at > this.timers.now()) return undefined;
    const call = this.take();
    const details = this.#owner.describe(call);
    this.#spare = call;
    return { reason: new TimeoutError({ ...details, timeout: deadline.timeout }) };
  }

  /** Puts `call` at the end of the queue and starts its clock. */
  enter(call: C, options: CallOptions | undefined, fallback: number | null): Promise<Result> {
    making = call;
    const promise = new Promise<Result>(capture);
    let limit = fallback;
    let deadline: Deadline | undefined;
    if (options !== undefined) {
      if (options.timeout !== undefined) limit = options.timeout;
      deadline = options.deadline;
      if (options.signal !== undefined) {
        call.signal = options.signal;
        call.signal.addEventListener("abort", call);
      }
    }
    if (limit !== null || deadline !== undefined) {
      let due = limit === null ? Infinity : this.timers.now() + limit;
      call.timeout = limit ?? 0;
      if (deadline !== undefined && deadline.at < due) {
        due = deadline.at;
        call.timeout = deadline.timeout;
      }
      this.timers.arm(call, due);
    }
    const tail = this.#tail;
    if (tail === undefined) this.head = call;
    else {
      tail.next = call;
      call.previous = tail;
    }
    this.#tail = call;
    return promise;
  }

  /** Takes `call` out, served or not; its promise is the caller's to settle. */
  leave(call: C): void {
    const { previous, next } = call;
    if (previous === undefined) this.head = next;
    else previous.next = next;
    if (next === undefined) this.#tail = previous;
    else next.previous = previous;
    call.previous = call.next = undefined;
    if (call.signal !== undefined) {
      call.signal.removeEventListener("abort", call);
      call.signal = undefined;
    }
    if (this.#spare === undefined) {
      this.timers.disarm(call);
      this.#spare = call;
    } else this.timers.remove(call);
  }

  /** Rejects every call, with an error of its own each. */
  rejectAll(error: () => unknown): void {
    for (let call = this.head; call !== undefined; call = this.head) {
      this.leave(call);
      call.reject(error());
    }
  }

  /** Leaves nothing in the timer queue. To be called when the owner is closed. */
  dispose(): void {
    if (this.#spare !== undefined) this.timers.remove(this.#spare);
    this.#spare = undefined;
  }

  /** @internal */
  expired(call: Call<Result>): void {
    const mine = call as C;
    const { timeout } = call;
    const error = new TimeoutError({ ...this.#owner.describe(mine), timeout });
    this.leave(mine);
    mine.reject(error);
    this.#owner.left?.(mine, error);
  }

  /** @internal */
  aborted(call: Call<Result>): void {
    const mine = call as C;
    const reason: unknown = call.signal!.reason;
    this.leave(mine);
    mine.reject(reason);
    this.#owner.left?.(mine, reason);
  }
}
