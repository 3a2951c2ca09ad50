/**
 * A TLS handshake on an open connection, under a limit.
 *
 * @module
 */

import type { Attempt, Transport } from "../adapter.ts";
import { type TimeoutErrorOptions, toSocketError } from "../errors.ts";
import { timeoutError } from "../events.ts";
import { adapter } from "../runtime.ts";
import { Alarm, glance, type TimerQueue } from "../time/timers.ts";
import type { TlsPlan } from "./options.ts";

/** A handshake that a limit or a signal can end. */
export class LimitedHandshake extends Alarm {
  /** Rejects with an error of ours or the signal's reason. The connection is then closed. */
  readonly opened: Promise<Transport>;
  readonly #timers: TimerQueue;
  readonly #attempt: Attempt | undefined;
  readonly #error: TimeoutErrorOptions;
  readonly #signal: AbortSignal | undefined;
  readonly #due: number;
  #reject!: (reason: unknown) => void;
  #over = false;

  /** `due` is the time at which the limit is over, `Infinity` for no limit. */
  constructor(
    transport: Transport,
    plan: TlsPlan,
    error: TimeoutErrorOptions,
    due: number,
    timers: TimerQueue,
    signal?: AbortSignal,
  ) {
    super();
    this.#timers = timers;
    this.#error = error;
    this.#signal = signal;
    this.#due = due;
    let resolve!: (transport: Transport) => void;
    this.opened = new Promise((settle, reject) => {
      resolve = settle;
      this.#reject = reject;
    });
    try {
      this.#attempt = adapter().secure(transport, plan);
    } catch (cause) {
      this.#over = true;
      transport.close();
      this.#reject(this.#ours(cause));
      return;
    }
    this.#attempt.opened.then((secured) => {
      if (this.#over) return secured.close();
      this.#end();
      resolve(secured);
    }, (cause) => this.callOff(this.#ours(cause)));
    this.#arm();
    signal?.addEventListener("abort", this);
  }

  #ours(cause: unknown): Error {
    return toSocketError(cause, this.#error.operation as "connect" | "accept", this.#error.address);
  }

  #arm(): void {
    if (this.#due < Infinity) this.#timers.arm(this, this.#due);
    else if (this.#signal !== undefined) this.#timers.arm(this, this.#timers.now() + glance);
  }

  override ring(): void {
    // Another listener may have stopped the abort event before it came here.
    if (this.#signal?.aborted) return this.handleEvent();
    if (this.#due === Infinity) return this.#arm();
    this.callOff(timeoutError(this.#error));
  }

  handleEvent(): void {
    this.callOff(this.#signal!.reason);
  }

  /** Ends the handshake, and closes the connection. */
  callOff(reason: unknown): void {
    if (this.#over) return;
    this.#end();
    this.#reject(reason);
    this.#attempt!.abort();
  }

  #end(): void {
    this.#over = true;
    this.#timers.remove(this);
    this.#signal?.removeEventListener("abort", this);
  }
}
