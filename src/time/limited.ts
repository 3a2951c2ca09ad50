/** A promise that a limit or a signal can end. */

import { Settling } from "./settling.ts";
import { abortCheck, Alarm, timers } from "./timers.ts";

/** Something that takes time, and is called off when its limit is over or its signal aborts. */
export abstract class Limited<Result> extends Alarm {
  /** Rejects with the error of a subclass, the error of the limit, or the signal's reason. */
  readonly promise: Promise<Result>;
  /** Whether the promise is settled. */
  protected over = false;
  readonly #due: number;
  readonly #signal: AbortSignal | undefined;
  readonly #settling = new Settling<Result>();

  /** `due` is the time at which the limit is over, `Infinity` for no limit. */
  constructor(due: number, signal?: AbortSignal) {
    super();
    this.#due = due;
    this.#signal = signal;
    this.promise = this.#settling.promise;
    this.#arm();
    signal?.addEventListener("abort", this);
  }

  /** The error of the limit, which is over now. */
  protected abstract timedOut(): Error;

  /** Ends what was going on. If that takes a while, a promise is returned, which does not reject. */
  protected abstract abandon(): void | Promise<unknown>;

  protected succeed(result: Result): void {
    this.end();
    this.#settling.resolve(result);
  }

  protected fail(reason: unknown): void {
    this.end();
    this.#settling.reject(reason);
  }

  /** Ends it with this reason, unless it is over. */
  callOff(reason: unknown): void {
    if (this.over) return;
    this.end();
    const ending = this.abandon();
    const reject = () => this.#settling.reject(reason);
    if (ending === undefined) reject();
    else ending.then(reject);
  }

  /** Whether the signal has aborted. Then this is called off, if it was not yet. */
  protected aborted(): boolean {
    if (!this.#signal?.aborted) return false;
    this.callOff(this.#signal.reason);
    return true;
  }

  handleEvent(): void {
    this.aborted();
  }

  override ring(): void {
    // Another listener may have stopped the abort event before it came here.
    if (this.aborted()) return;
    if (this.#due === Infinity) this.#arm();
    else this.callOff(this.timedOut());
  }

  #arm(): void {
    if (this.#due < Infinity) timers.arm(this, this.#due);
    else if (this.#signal !== undefined) timers.arm(this, timers.now() + abortCheck);
  }

  /** Called before the promise is settled. */
  protected end(): void {
    this.over = true;
    timers.remove(this);
    this.#signal?.removeEventListener("abort", this);
  }
}
