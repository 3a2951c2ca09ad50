/**
 * Calls that wait, each with limits of its own: what `read`, `write` and `accept` have in common.
 */

import type { Deadline } from "./deadline.ts";
import { retraced, TimeoutError, type TimeoutErrorOptions } from "../errors.ts";
import { publishTimeout, timeoutError } from "../events.ts";
import { hold, letGo, release } from "./hold.ts";
import { abortCheck, Alarm, type TimerQueue, timers } from "./timers.ts";

/** Limits of one call, of which the earliest counts. `timeout` replaces the connection's. */
export interface CallOptions {
  /** Longest wait in ms, or `null` for no limit. Default: the connection's or listener's timeout. */
  timeout?: number | null;
  /** A point in time, shared with other calls. */
  deadline?: Deadline;
  /** Ends the wait with the signal's reason. */
  signal?: AbortSignal;
}

/** When a call with these limits has to be over (`Infinity`: never), and the limit that counts. */
export function dueOf(
  { timeout, deadline }: CallOptions,
  otherwise: number | null,
  queue: TimerQueue = timers,
): { due: number; limit: number } {
  const limit = timeout === undefined ? otherwise : timeout;
  const due = limit === null ? Infinity : queue.now() + limit;
  if (deadline !== undefined && deadline.at < due) {
    return { due: deadline.at, limit: deadline.timeout };
  }
  return { due, limit: limit ?? 0 };
}

/** Throws if a call is over before it starts: its signal has aborted, or its deadline has passed. */
export function mustBeInTime(
  { deadline, signal }: CallOptions,
  error: Omit<TimeoutErrorOptions, "timeout">,
): void {
  signal?.throwIfAborted();
  if (deadline?.expired) throw timeoutError({ ...error, timeout: deadline.timeout });
}

/** The queue of a call, which is called when the call's time is over or its signal aborts. */
interface Waiting<Result> {
  expired(call: Call<Result>): void;
  aborted(call: Call<Result>): void;
}

/** Resolving a promise with such an object rejects the promise with the error. */
class Rejection {
  readonly #error: unknown;

  constructor(error: unknown) {
    this.#error = error;
  }

  then(_resolve: unknown, reject: (error: unknown) => void): void {
    reject(this.#error);
  }
}

const none: CallOptions = {};
const soon = Promise.resolve();

/** A step that lets the call's promise wait for the next one, so that its stack shows the waiting code. */
function nothing(): void {}

function rejectTraced(error: unknown): never {
  throw retraced(error);
}

/** One pending call: its promise, its alarm and its signal. */
export class Call<Result> extends Alarm {
  resolve!: (result: Result | Rejection | Promise<never>) => void;
  /** The limit that counts, in ms; 0 without one. */
  limit = 0;
  signal: AbortSignal | undefined = undefined;
  next: this | undefined = undefined;
  previous: this | undefined = undefined;
  readonly #queue: Waiting<Result>;

  constructor(queue: Waiting<Result>) {
    super();
    this.#queue = queue;
  }

  /**
   * Rejects the promise by its `resolve`, so that a waiting call need not keep `reject` as well, which would
   * take 64 bytes. Resolving with a rejected promise would do too, but runtimes list those as unhandled for
   * a while.
   */
  reject(error: unknown): void {
    this.resolve(new Rejection(error));
  }

  override ring(): void {
    this.#queue.expired(this);
  }

  /** Called by the signal's abort event. */
  handleEvent(): void {
    this.#queue.aborted(this);
  }
}

/** A queue of calls. It is a base class, since an object of its own would cost each connection two. */
export abstract class CallQueue<Result, C extends Call<Result>> {
  head: C | undefined = undefined;
  #tail: C | undefined = undefined;
  /**
   * A call that has ended and is still in the timer queue, so that using it again costs nothing there. A new
   * one for each call would more than double what a round trip costs us.
   */
  #spare: C | undefined = undefined;
  /** Whether its calls keep the process alive. */
  protected referenced = true;
  readonly timers: TimerQueue;

  constructor(timers: TimerQueue) {
    this.timers = timers;
  }

  /** Makes a new call. The queue keeps one for reuse. */
  abstract create(): C;
  /** Details for the error of a call that ran out of time. */
  abstract describe(call: C): Omit<TimeoutErrorOptions, "timeout">;
  /** Called when `call` has left the queue without having been served. */
  left?(call: C): void;

  /** Returns a call to fill in, for `enter`. */
  take(): C {
    const spare = this.#spare;
    if (spare === undefined) return this.create();
    this.#spare = undefined;
    return spare;
  }

  /**
   * Returns why a call with these options is over before it starts, in an object, since the reason of an
   * abort may be `undefined`.
   */
  refusal(options: CallOptions | undefined): { reason: unknown } | undefined {
    if (options === undefined) return undefined;
    const { signal, deadline } = options;
    if (signal?.aborted) return { reason: signal.reason };
    if (deadline === undefined || deadline.at > this.timers.now()) return undefined;
    // A new one, since a call that has failed still has its values.
    const details = this.describe(this.create());
    return { reason: timeoutError({ ...details, timeout: deadline.timeout }) };
  }

  /** Puts `call` at the end of the queue and starts its clock. */
  enter(call: C, options: CallOptions | undefined, fallback: number | null): Promise<Result> {
    const promise = new Promise<Result>((resolve) => {
      call.resolve = resolve as typeof call.resolve;
    });
    const { due, limit } = dueOf(options ?? none, fallback, this.timers);
    call.limit = limit;
    const signal = options?.signal;
    if (due < Infinity) this.timers.arm(call, due);
    if (signal !== undefined) {
      if (due === Infinity) this.timers.arm(call, this.timers.now() + abortCheck);
      signal.addEventListener("abort", call);
      call.signal = signal;
    }
    const tail = this.#tail;
    if (tail === undefined) {
      this.head = call;
      if (this.referenced) hold();
    } else {
      tail.next = call;
      call.previous = tail;
    }
    this.#tail = call;
    return promise;
  }

  /** Takes `call` out of the queue. The caller has to settle its promise. */
  leave(call: C): void {
    const { previous, next } = call;
    if (previous === undefined) this.head = next;
    else previous.next = next;
    if (next === undefined) this.#tail = previous;
    else next.previous = previous;
    if (this.head === undefined && this.referenced) release();
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

  /** Rejects every call, each with a new error. */
  rejectAll(error: () => unknown): void {
    for (let call = this.head; call !== undefined; call = this.head) {
      this.leave(call);
      call.reject(error());
    }
  }

  /** Takes everything out of the timer queue. To be called when the owner is closed. */
  dispose(): void {
    if (this.#spare !== undefined) this.timers.remove(this.#spare);
    this.#spare = undefined;
    letGo();
  }

  /** Sets whether its calls keep the process alive from now on. */
  reference(on: boolean): void {
    if (on === this.referenced) return;
    this.referenced = on;
    if (this.head === undefined) return;
    if (on) hold();
    else release();
  }

  /** Nothing has happened for `timeout` ms: ends every call. */
  expireAll(timeout: number): void {
    for (let call = this.head; call !== undefined; call = this.head) {
      this.#timedOut(call, { ...this.describe(call), operation: "idle", timeout });
    }
  }

  expired(call: C): void {
    // Another listener may have stopped the abort event before it came here.
    if (call.signal?.aborted) return this.aborted(call);
    if (call.limit === 0) return this.timers.arm(call, this.timers.now() + abortCheck);
    this.#timedOut(call, { ...this.describe(call), timeout: call.limit });
  }

  #timedOut(call: C, options: TimeoutErrorOptions): void {
    const error = new TimeoutError(options);
    this.#giveUp(call, soon.then(nothing).then(() => rejectTraced(error)));
    // Comes last, since a subscriber may close the owner, or abort this very call.
    publishTimeout(error);
  }

  aborted(call: C): void {
    this.#giveUp(call, new Rejection(call.signal!.reason));
  }

  #giveUp(call: C, outcome: Rejection | Promise<never>): void {
    this.leave(call);
    call.resolve(outcome);
    this.left?.(call);
  }
}
