/**
 * The idle limit: calls that wait are over when no byte has come or gone for so long.
 *
 * @module
 */

import { readTcpInfo } from "../kernel/tcp_info.ts";
import { adapter } from "../runtime.ts";
import { Alarm, type TimerQueue } from "../time/timers.ts";

/** One half of a connection. */
interface Waiting {
  readonly head: unknown;
  expireAll(timeout: number): void;
}

/** The sending half: whether bytes wait for the kernel to take them. */
interface Sending extends Waiting {
  readonly waiting: boolean;
}

/** Of one connection. It sleeps while no call waits. */
export class Idle extends Alarm {
  /** In ms. */
  readonly timeout: number;
  readonly #reader: Waiting;
  readonly #writer: Sending;
  readonly #native: object;
  readonly #timers: TimerQueue;
  /** When the last byte came or went, or, if later, when the first of the calls began that wait. */
  #since = 0;
  /** Bytes that the peer had acknowledged when the kernel was asked last. */
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
  }

  /** A byte has come or gone. */
  moved(): void {
    this.#since = this.#timers.now();
  }

  /** A call is about to wait. */
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
      // What the kernel sends nobody tells: it has to be asked now and then.
      const next = sending ? Math.min(due, now + this.timeout / 4) : due;
      return this.#timers.arm(this, next);
    }
    this.#reader.expireAll(this.timeout);
    this.#writer.expireAll(this.timeout);
  }

  /** The runtime may be busy with one large write while the peer takes it byte by byte. */
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
      // Closed by somebody else, or out of reach.
    }
  }

  /** The connection is closed. */
  stop(): void {
    this.#timers.remove(this);
  }
}
