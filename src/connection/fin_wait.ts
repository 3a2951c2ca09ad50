/** The wait for FIN, which over TLS comes after a message that the kernel may have no room for. */

import type { TimeoutErrorOptions } from "../errors.ts";
import { timeoutError } from "../events.ts";
import { type CallOptions, dueOf } from "../time/calls.ts";
import { Limited } from "../time/limited.ts";

/** One wait for FIN under limits. */
export class FinWait extends Limited<void> {
  readonly #limit: number;
  readonly #describe: () => Omit<TimeoutErrorOptions, "timeout">;

  constructor(
    sent: Promise<void>,
    options: CallOptions,
    otherwise: number | null,
    describe: () => Omit<TimeoutErrorOptions, "timeout">,
  ) {
    const { due, limit } = dueOf(options, otherwise);
    super(due, options.signal);
    this.#limit = limit;
    this.#describe = describe;
    sent.then(() => this.over || this.succeed(), (cause) => this.callOff(cause));
  }

  protected override timedOut(): Error {
    return timeoutError({ ...this.#describe(), timeout: this.#limit });
  }

  /** FIN is sent when there is room, whether somebody waits for it or not. */
  protected override abandon(): void {}
}
