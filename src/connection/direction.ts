/** What reading and writing have in common: a transport, a limit, and how they end. */

import type { Transport } from "../adapter.ts";
import { type Call, type CallOptions, CallQueue } from "../time/calls.ts";
import { diagnose } from "./diagnosis.ts";
import type { Idle } from "./idle.ts";
import { SocketError, type TimeoutErrorOptions, toSocketError } from "../errors.ts";
import { publishDeadPeer } from "../events.ts";
import type { TimerQueue } from "../time/timers.ts";
import { afterTurn } from "../time/turn.ts";
import type { Watch } from "./watch.ts";

/** The calls in one direction of a connection. */
export abstract class Direction<Result, C extends Call<Result>> extends CallQueue<Result, C> {
  /** The limit of calls without one of their own, ms. */
  timeout: number | null;
  /** Whether `close` was called. */
  closed = false;
  protected readonly transport: Transport;
  /** The error that ended the connection, in an object, since the cause may be `undefined`. */
  protected failure: { cause: unknown } | undefined = undefined;
  /** Gets a call when the connection is gone. */
  owner: { onLost(): void } | undefined = undefined;
  /** The idle limit, if there is one. */
  idle: Idle | undefined = undefined;
  /** The watch over data in flight, which both directions share, if there is one. */
  watch: Watch | undefined = undefined;
  #turning = false;

  constructor(transport: Transport, timeout: number | null, timers: TimerQueue) {
    super(timers);
    this.transport = transport;
    this.timeout = timeout;
  }

  /** The code of the reason why this direction cannot be handed over now, or `undefined`. */
  notIdle(): string | undefined {
    if (this.closed) return "EBADF";
    if (this.head !== undefined) return "EBUSY";
    if (this.failure === undefined) return undefined;
    return (this.error() as { code?: string }).code ?? "EIO";
  }

  protected abstract get operation(): "read" | "write";

  /** Serves the waiting calls that can be served at once. */
  protected abstract resume(): void;

  /** Goes on after a turn of the event loop, so that a busy connection does not block everything else. */
  protected turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    afterTurn(() => {
      this.#turning = false;
      this.resume();
    });
  }

  /** Called when the connection is gone. Rejects the waiting calls. */
  failed(cause: unknown): void {
    if (this.closed || this.failure !== undefined) return;
    this.failure = { cause };
    this.rejectAll(() => this.error());
    this.watch?.drop();
    this.owner?.onLost();
    // Comes last, since a subscriber may close the connection.
    publishDeadPeer(this.transport, () => this.error());
  }

  /** The error that ended the connection, if it is gone. */
  get lost(): Error | undefined {
    return this.failure && this.error();
  }

  override enter(
    call: C,
    options: CallOptions | undefined,
    fallback: number | null,
  ): Promise<Result> {
    this.idle?.began();
    return super.enter(call, options, fallback);
  }

  /** Rejects the waiting calls. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.idle?.stop();
    this.rejectAll(() => this.refused("ECANCELED"));
    this.dispose();
  }

  override refusal(options: CallOptions | undefined): { reason: unknown } | undefined {
    return this.closed ? { reason: this.refused("EBADF") } : super.refusal(options);
  }

  override describe(_call: C): Omit<TimeoutErrorOptions, "timeout"> {
    return {
      operation: this.operation,
      address: this.transport.remoteAddr,
      diagnosis: diagnose(this.transport.below ?? this.transport.native, this.timers),
    };
  }

  /** The error of a call after `failed`. Each call gets a new one. */
  protected error(): Error {
    return toSocketError(this.failure!.cause, this.operation, this.transport.remoteAddr);
  }

  /** The error of a call that this side ends itself. */
  refused(code: string): SocketError {
    return new SocketError({ code, operation: this.operation, address: this.transport.remoteAddr });
  }
}
