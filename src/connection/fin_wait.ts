/** The wait for FIN, which over TLS comes after a message that the kernel may have no room for. */

import type { TimeoutErrorOptions } from "../errors.ts";
import { Call, type CallOptions, CallQueue } from "../time/calls.ts";
import type { TimerQueue } from "../time/timers.ts";

/** One wait for FIN under limits. */
export class FinWait extends CallQueue<void, Call<void>> {
  readonly describe: () => Omit<TimeoutErrorOptions, "timeout">;

  constructor(timers: TimerQueue, describe: () => Omit<TimeoutErrorOptions, "timeout">) {
    super(timers);
    this.describe = describe;
  }

  create(): Call<void> {
    return new Call(this);
  }

  for(
    sent: Promise<void>,
    options: CallOptions | undefined,
    timeout: number | null,
  ): Promise<void> {
    const call = this.take();
    const promise = this.enter(call, options, timeout);
    const settle = (how: () => void) => {
      if (this.head !== call) return;
      this.leave(call);
      how();
    };
    sent.then(() => settle(() => call.resolve()), (cause) => settle(() => call.reject(cause)));
    return promise.finally(() => this.dispose());
  }
}
