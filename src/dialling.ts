/**
 * One `connect` from its start to its end: attempts under one limit and one signal.
 *
 * @module
 */

import type { Attempt, Target, Transport } from "./adapter.ts";
import { diagnoseAttempt } from "./connection/diagnosis.ts";
import { canonical } from "./dial/hostname.ts";
import { type ErrorAddress, toSocketError } from "./errors.ts";
import { timeoutError } from "./events.ts";
import type { Kernel } from "./kernel/kernel.ts";
import type { RetryOptions } from "./options/types.ts";
import { kernelFor } from "./options/support.ts";
import { type NativeTimer, nativeTimers } from "./time/native_timers.ts";
import type { Deadline } from "./time/deadline.ts";
import { Alarm, timers } from "./time/timers.ts";

/** Errors that another attempt may not meet. */
const curable = new Set([
  ...["ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN"],
  ...["EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN"],
]);

/** A range of very few ports may give the same one each time. */
const mostMeetings = 8;

/**
 * Whether a connection has met itself: who dials a free port of the range from which the kernel takes
 * local ports may get that very port, and the SYN then meets a socket that is connecting (RFC 9293
 * section 3.5, simultaneous open).
 */
function isItself({ localAddr, remoteAddr }: Opened): boolean {
  return localAddr.port !== undefined && localAddr.port === remoteAddr.port &&
    localAddr.hostname === remoteAddr.hostname;
}

/** What dialling needs of an open connection. */
export interface Opened {
  readonly localAddr: ErrorAddress;
  readonly remoteAddr: ErrorAddress;
  close(): void;
  reset(kernel: () => Kernel): void;
}

/** One attempt under a limit and a signal, of which the first to end counts. */
export class Dialling<Result extends Opened = Transport> extends Alarm {
  readonly #target: Target;
  /** When the limit that comes first is over, and how long that is. */
  readonly #until: number;
  readonly #timeout: number;
  readonly #signal: AbortSignal | undefined;
  readonly #retry: Required<RetryOptions> | undefined;
  #start!: (target: Target) => Attempt<Result>;
  #attempt: Attempt<Result> | undefined = undefined;
  /** Attempts that were dialled again, and what the last of them met. */
  #failures = 0;
  #last: Error | undefined = undefined;
  #pause: NativeTimer | undefined = undefined;
  /** How often it has met itself. */
  #met = 0;
  #over = false;
  #resolve!: (transport: Result) => void;
  #reject!: (reason: unknown) => void;

  constructor(
    target: Target,
    timeout: number | null,
    deadline: Deadline | undefined,
    signal: AbortSignal | undefined,
    retry: Required<RetryOptions> | undefined,
  ) {
    super();
    this.#retry = retry;
    this.#target = target;
    const due = timeout === null ? Infinity : timers.now() + timeout;
    const sooner = deadline !== undefined && deadline.at < due;
    this.#until = sooner ? deadline.at : due;
    this.#timeout = sooner ? deadline.timeout : timeout ?? 0;
    this.#signal = signal;
  }

  open(start: (target: Target) => Attempt<Result>): Promise<Result> {
    const promise = new Promise<Result>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (this.#until < Infinity) timers.arm(this, this.#until);
    this.#signal?.addEventListener("abort", this);
    this.#start = start;
    this.#dial();
    return promise;
  }

  #dial(): void {
    try {
      const { hostname, port } = this.#target;
      this.#attempt = this.#start({ hostname: canonical(hostname), port });
      this.#attempt.opened.then(
        (transport) => this.#opened(transport),
        (cause) => this.#failed(cause),
      );
    } catch (cause) {
      this.#failed(cause);
    }
  }

  #opened(transport: Result): void {
    // It may open in the very moment in which it is called off, with nobody left to take it.
    if (this.#over) return transport.close();
    // Another listener may have kept the abort event from us.
    if (this.#signal?.aborted) {
      transport.close();
      return this.handleEvent();
    }
    if (isItself(transport)) return this.#again(transport);
    this.#end();
    this.#resolve(transport);
  }

  /** Nobody listens at that port, so another socket of our own would get it, or be refused. */
  #again(transport: Result): void {
    try {
      // RST, so that the port is not in TIME-WAIT when its server comes.
      transport.reset(() => kernelFor("reset"));
    } catch {
      transport.close();
    }
    if (++this.#met < mostMeetings) return this.#dial();
    const cause = new Error("every attempt connected to itself");
    this.#failed(Object.assign(cause, { code: "ECONNREFUSED" }));
  }

  #failed(cause: unknown): void {
    if (this.#over) return;
    const error = toSocketError(cause, "connect", this.#target);
    if (this.#retry !== undefined && curable.has((error as { code?: string }).code ?? "")) {
      return this.#wait(this.#retry, error);
    }
    this.#end();
    this.#reject(error);
  }

  /** A timer of its own: a pending call keeps the process alive, which alarms do not. */
  #wait({ delay, factor, max }: Required<RetryOptions>, error: Error): void {
    const ms = Math.min(delay * factor ** this.#failures, max, 2 ** 31 - 1);
    this.#failures++;
    this.#last = error;
    this.#pause = nativeTimers().setTimeout(() => this.#dial(), Math.ceil(ms));
  }

  override ring(): void {
    if (this.#signal?.aborted) return this.handleEvent();
    const timeout = this.#timeout;
    const failures = this.#failures;
    const cause = this.#last;
    const diagnosis = cause === undefined
      ? this.#attempt?.waitsFor ?? diagnoseAttempt(this.#attempt, timers)
      : `${failures} ${
        failures === 1 ? "attempt" : "attempts"
      } failed, the last one: ${cause.message}`;
    this.#callOff(
      timeoutError({ operation: "connect", timeout, address: this.#target, diagnosis, cause }),
    );
  }

  handleEvent(): void {
    this.#callOff(this.#signal!.reason);
  }

  #callOff(reason: unknown): void {
    this.#end();
    this.#reject(reason);
    this.#attempt?.abort();
  }

  #end(): void {
    this.#over = true;
    timers.remove(this);
    if (this.#pause !== undefined) nativeTimers().clearTimeout(this.#pause);
    this.#signal?.removeEventListener("abort", this);
  }
}
