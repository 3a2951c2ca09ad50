/**
 * What both halves of a connection share: a transport, a limit, and how they end.
 *
 * @module
 */

import type { Transport } from "../adapter.ts";
import { type Call, type CallOptions, CallQueue } from "../time/calls.ts";
import { diagnose } from "./diagnosis.ts";
import { SocketError, type TimeoutErrorOptions, toSocketError } from "../errors.ts";
import { publishDeadPeer } from "../events.ts";
import type { TimerQueue } from "../time/timers.ts";
import { afterTurn } from "../time/turn.ts";

/** The calls of one half of a connection. */
export abstract class Half<Result, C extends Call<Result>> extends CallQueue<Result, C> {
  /** Default limit of a call, ms. */
  timeout: number | null;
  /** `close` was called. */
  closed = false;
  protected readonly transport: Transport;
  /** Why the connection is gone. An object, since the cause may be `undefined`. */
  protected failure: { cause: unknown } | undefined = undefined;
  /** Told when the connection is gone, if somebody asked for that. */
  owner: { onLost(): void } | undefined = undefined;
  #turning = false;

  constructor(transport: Transport, timeout: number | null, timers: TimerQueue) {
    super(timers);
    this.transport = transport;
    this.timeout = timeout;
  }

  /** Why this half cannot be handed over as it is: a code, or `undefined`. */
  notIdle(): string | undefined {
    if (this.closed) return "EBADF";
    if (this.head !== undefined) return "EBUSY";
    if (this.failure === undefined) return undefined;
    return (this.error() as { code?: string }).code ?? "EIO";
  }

  protected abstract get operation(): "read" | "write";

  /** Serves what waits, as far as it can be served at once. */
  protected abstract resume(): void;

  /** Goes on when the event loop has turned, lest a peer that keeps up holds everything else up. */
  protected turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    afterTurn(() => {
      this.#turning = false;
      this.resume();
    });
  }

  /** The connection is gone: rejects what waits. */
  failed(cause: unknown): void {
    if (this.closed || this.failure !== undefined) return;
    this.failure = { cause };
    publishDeadPeer(this.transport, () => this.error());
    this.rejectAll(() => this.error());
    this.owner?.onLost();
  }

  /** Why the connection is gone, if it is. */
  get lost(): Error | undefined {
    return this.failure && this.error();
  }

  /** Rejects what waits. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
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
      diagnosis: diagnose(this.transport.native, this.timers),
    };
  }

  /** The error of a call after `failed`, a new one for each. */
  protected error(): Error {
    return toSocketError(this.failure!.cause, this.operation, this.transport.remoteAddr);
  }

  /** The error of a call that we end ourselves. */
  protected refused(code: string): SocketError {
    return new SocketError({ code, operation: this.operation, address: this.transport.remoteAddr });
  }
}
