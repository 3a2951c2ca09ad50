/** The idle limit: ends waiting calls when no byte has come or gone for this long. */

import { readTcpInfo } from "../kernel/tcp_info.ts";
import { adapter } from "../runtime.ts";
import { Alarm, type TimerQueue } from "../time/timers.ts";

/** One direction of a connection. */
interface Waiting {
  readonly head: unknown;
  expireAll(timeout: number): void;
}

/** The direction that sends. `waiting`: bytes wait for the kernel to take them. */
interface Sending extends Waiting {
  readonly waiting: boolean;
}

/** The idle limit of one connection. It has no timer while no call waits. */
export class Idle extends Alarm {
  /** In ms. */
  readonly timeout: number;
  readonly #reader: Waiting;
  readonly #writer: Sending;
  readonly #native: object;
  readonly #timers: TimerQueue;
  /** When the last byte came or went or, if that was later, when the first waiting call started. */
  #since: number;
  /** How many bytes the peer had acknowledged when the kernel was last asked. */
  #acknowledged: number | undefined = undefined;

  /** `native` is the runtime's TCP socket. */
  constructor(
    timeout: number,
    reader: Waiting,
    writer: Sending,
    native: object,
    timers: TimerQueue,
  ) {
    super();
    this.timeout = timeout;
    this.#reader = reader;
    this.#writer = writer;
    this.#native = native;
    this.#timers = timers;
    this.#since = timers.now();
  }

  /** To be called when a byte has come or gone. */
  moved(): void {
    this.#since = this.#timers.now();
  }

  /** To be called before a call waits. */
  began(): void {
    const now = this.#timers.now();
    if (this.#reader.head === undefined && this.#writer.head === undefined) {
      this.#since = now;
      this.#acknowledged = undefined;
    }
    if (this.due === Infinity) this.#timers.arm(this, now + this.timeout / 4);
  }

  override ring(): void {
    if (this.#reader.head === undefined && this.#writer.head === undefined) return;
    const sending = this.#writer.waiting;
    if (sending) this.#askKernel();
    const now = this.#timers.now();
    const due = this.#since + this.timeout;
    if (now < due) {
      // The kernel does not report what it sends, so it is asked now and then.
      const next = sending ? Math.min(due, now + this.timeout / 4) : due;
      return this.#timers.arm(this, next);
    }
    this.#reader.expireAll(this.timeout);
    this.#writer.expireAll(this.timeout);
  }

  /** Asks the kernel for progress, since the peer may take a large write of the runtime bit by bit. */
  #askKernel(): void {
    try {
      const { kernel } = adapter().loadKernel(true);
      if (kernel === undefined) return;
      const info = readTcpInfo(kernel, adapter().handle(this.#native)!.fd());
      if (typeof info === "number" || info.bytesAcknowledged === undefined) return;
      const { bytesAcknowledged, lastAckReceived = 0 } = info;
      if (bytesAcknowledged !== this.#acknowledged) {
        this.#since = Math.max(this.#since, this.#timers.now() - lastAckReceived);
      }
      this.#acknowledged = bytesAcknowledged;
    } catch {
      // The program has closed it, or it cannot be reached.
    }
  }

  /** To be called when the connection is closed. */
  stop(): void {
    this.#timers.remove(this);
  }
}
