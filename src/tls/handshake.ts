/** TLS handshakes on open connections, each under a limit. */

import type { Attempt, Transport } from "../adapter.ts";
import { type TimeoutErrorOptions, toSocketError } from "../errors.ts";
import { timeoutError } from "../events.ts";
import { adapter } from "../runtime.ts";
import { Limited } from "../time/limited.ts";
import type { TlsPlan } from "./options.ts";

/** A handshake that a limit or a signal can end. If it fails, the connection is closed. */
export class LimitedHandshake extends Limited<Transport> {
  readonly #attempt: Attempt | undefined;
  readonly #error: TimeoutErrorOptions;

  /** `error` is that of the limit, which is over at `due`. */
  constructor(
    transport: Transport,
    plan: TlsPlan,
    error: TimeoutErrorOptions,
    due: number,
    signal?: AbortSignal,
  ) {
    super(due, signal);
    this.#error = error;
    try {
      this.#attempt = adapter().secure(transport, plan);
    } catch (cause) {
      transport.close();
      this.fail(this.#ours(cause));
      return;
    }
    this.#attempt.opened.then(
      (secured) => this.over ? secured.close() : this.succeed(secured),
      (cause) => this.callOff(this.#ours(cause)),
    );
  }

  #ours(cause: unknown): Error {
    return toSocketError(cause, this.#error.operation as "connect" | "accept", this.#error.address);
  }

  protected override timedOut(): Error {
    return timeoutError(this.#error);
  }

  protected override abandon(): void {
    this.#attempt!.abort();
  }
}
