/** Carries out one `connect`: attempts under one limit and one signal. */

import type { Attempt, Target, Transport } from "./adapter.ts";
import { diagnoseAttempt } from "./connection/diagnosis.ts";
import { canonical } from "./dial/hostname.ts";
import { type ErrorAddress, SocketError, toSocketError } from "./errors.ts";
import { timeoutError } from "./events.ts";
import type { Kernel } from "./kernel/kernel.ts";
import { coded, errnoName } from "./kernel/system_error.ts";
import type { RetryOptions } from "./options/types.ts";
import { resetOrClose } from "./options/support.ts";
import { adapter } from "./runtime.ts";
import { longestDelay, type NativeTimer, nativeTimers } from "./time/native_timers.ts";
import { type CallOptions, dueOf } from "./time/calls.ts";
import { Limited } from "./time/limited.ts";
import { timers } from "./time/timers.ts";

/** Codes of errors that may pass, so that another attempt may succeed. */
const retriedCodes = new Set([
  ...["ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN"],
  ...["EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN"],
]);

/** How often to dial again after connecting to itself, as a small range may yield the same port again. */
const mostSelfConnects = 8;

/**
 * Whether a connection is connected to itself. If no program listens at a port in the range from which the
 * kernel takes local ports, the dialling socket may get that very port, and its SYN then reaches itself
 * (RFC 9293 section 3.5, simultaneous open).
 */
function isItself(opened: Opened, port: number): boolean {
  if ((opened.localPort ?? opened.localAddr.port) !== port) return false;
  return opened.localAddr.hostname === opened.remoteAddr.hostname;
}

/**
 * Returns EMFILE or ENFILE in place of an error of name resolution, if no descriptor is free: Deno says then
 * that there is no such name, and Bun that its server fails.
 */
function lackOfDescriptors(error: Error): Error {
  const { code, address } = error as SocketError;
  if (code !== "ENOTFOUND" && code !== "EAI_AGAIN") return error;
  const free = adapter().loadKernel(true).kernel?.lowestFree() ?? 0;
  if (free >= 0) return error;
  return new SocketError({
    code: errnoName(-free),
    operation: "connect",
    address,
    cause: error.cause,
  });
}

/** What dialling needs of an open connection. */
export interface Opened {
  readonly localPort?: number;
  readonly localAddr: ErrorAddress;
  readonly remoteAddr: ErrorAddress;
  close(): void;
  reset(kernel: () => Kernel): void;
}

/**
 * Prepares an open connection, and starts TLS on it if the caller wants that. If this throws, or the handshake
 * fails, the connection is closed.
 */
export type Prepare<Result> = (opened: Result) => Attempt<Result> | undefined;

/** One `connect`, which its limit or its signal can end. */
export class Dialling<Result extends Opened = Transport> extends Limited<Result> {
  readonly #target: Target;
  readonly #timeout: number;
  readonly #retry: Required<RetryOptions> | undefined;
  readonly #start: (hostname: string, port: number) => Attempt<Result>;
  readonly #prepare: Prepare<Result>;
  #attempt: Attempt<Result> | undefined = undefined;
  /** Whether the attempt is a TLS handshake, over a connection that is open. */
  #handshaking = false;
  /** How many attempts have failed, and the error of the last one. */
  #failures = 0;
  #last: Error | undefined = undefined;
  #pause: NativeTimer | undefined = undefined;
  /** How often the connection was connected to itself. */
  #selfConnects = 0;

  constructor(
    target: Target,
    limits: CallOptions,
    retry: Required<RetryOptions> | undefined,
    start: (hostname: string, port: number) => Attempt<Result>,
    prepare: Prepare<Result> = () => undefined,
  ) {
    const { due, limit } = dueOf(limits, null);
    super(due, limits.signal);
    this.#target = target;
    this.#timeout = limit;
    this.#retry = retry;
    this.#start = start;
    this.#prepare = prepare;
    this.#dial();
  }

  #dial(): void {
    try {
      const { hostname, port } = this.#target;
      this.#handshaking = false;
      this.#attempt = this.#start(canonical(hostname), port);
      this.#attempt.opened.then(
        (transport) => this.#opened(transport),
        (cause) => this.#failed(cause),
      );
    } catch (cause) {
      this.#failed(cause);
    }
  }

  #opened(transport: Result): void {
    // It may have opened just when it was aborted, and then nobody would close it. Another listener may have
    // stopped the abort event before it came here.
    if (this.over || this.aborted()) return transport.close();
    if (isItself(transport, this.#target.port)) return this.#dialAgain(transport);
    try {
      const handshake = this.#prepare(transport);
      if (handshake === undefined) return this.succeed(transport);
      this.#attempt = handshake;
      this.#handshaking = true;
      handshake.opened.then(
        (secured) => this.over || this.aborted() ? secured.close() : this.succeed(secured),
        (cause) => this.#failed(cause),
      );
    } catch (cause) {
      transport.close();
      this.#failed(cause);
    }
  }

  /** Dials again after connecting to itself, as no program listens at the port. */
  #dialAgain(transport: Result): void {
    // With RST the port is not in TIME-WAIT when its server wants it.
    resetOrClose(transport);
    if (++this.#selfConnects < mostSelfConnects) return this.#dial();
    this.#failed(coded("ECONNREFUSED", "every attempt connected to itself"));
  }

  #failed(cause: unknown): void {
    if (this.over) return;
    const error = lackOfDescriptors(toSocketError(cause, "connect", this.#target));
    if (this.#retry !== undefined && retriedCodes.has((error as { code?: string }).code ?? "")) {
      return this.#wait(this.#retry, error);
    }
    this.fail(error);
  }

  /** Waits with a native timer, since a pending call has to keep the process alive, and alarms do not. */
  #wait({ delay, factor, max }: Required<RetryOptions>, error: Error): void {
    const ms = Math.min(delay * factor ** this.#failures, max, longestDelay);
    this.#failures++;
    this.#last = error;
    this.#pause = nativeTimers().setTimeout(() => this.#dial(), Math.ceil(ms));
  }

  protected override timedOut(): Error {
    const timeout = this.#timeout;
    const failures = this.#failures;
    const cause = this.#last;
    const diagnosis = cause !== undefined
      ? `${failures} ${
        failures === 1 ? "attempt" : "attempts"
      } failed, the last one: ${cause.message}`
      : this.#handshaking
      ? "connected, and the peer has not finished the TLS handshake"
      : this.#attempt?.waitsFor ?? diagnoseAttempt(this.#attempt, timers);
    return timeoutError({
      operation: "connect",
      timeout,
      address: this.#target,
      diagnosis,
      cause,
    });
  }

  protected override abandon(): void | Promise<unknown> {
    return this.#attempt?.abort();
  }

  protected override end(): void {
    super.end();
    if (this.#pause !== undefined) nativeTimers().clearTimeout(this.#pause);
  }
}
