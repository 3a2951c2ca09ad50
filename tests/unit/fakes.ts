/** A fake clock and a fake transport, with which tests run the core step by step. */

import type { Incoming, Outgoing, Transport } from "../../src/adapter.ts";
import type { NetAddr } from "../../src/kernel/address.ts";
import type { Clock } from "../../src/time/timers.ts";

/** A clock whose time passes only when a test says so. */
export class FakeClock implements Clock {
  started = 0;
  #now = 0;
  #next = 1;
  readonly #timers: Map<number, { at: number; wake: () => void }> = new Map();

  get running(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  start(wake: () => void, ms: number): unknown {
    if (!(ms >= 1 && ms <= 2 ** 31 - 1)) throw new Error(`no native timer takes ${ms}`);
    this.started++;
    this.#timers.set(this.#next, { at: this.#now + ms, wake });
    return this.#next++;
  }

  stop(timer: unknown): void {
    this.#timers.delete(timer as number);
  }

  /** Forgets the timer that runs, as happens when it ran on a fake clock that is gone. */
  lose(): () => void {
    const [timer, { wake }] = [...this.#timers][0]!;
    this.#timers.delete(timer);
    return wake;
  }

  /** Lets `ms` pass, and fires every timer at its time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end)
        .sort(([, a], [, b]) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due[0]);
      this.#now = Math.max(this.#now, due[1].at);
      due[1].wake();
    }
    this.#now = end;
  }

  /** Lets `ms` pass at once, as if the event loop were blocked. */
  block(ms: number): void {
    this.#now += ms;
    this.advance(0);
  }
}

const addr = (port: number): NetAddr => ({ transport: "tcp", hostname: "192.0.2.1", port });

/** A transport without a kernel. It takes `room` bytes at once, and the rest when `drain` is called. */
export class FakeTransport implements Transport {
  readonly native = {};
  readonly localAddr: NetAddr = addr(1);
  readonly remoteAddr: NetAddr = addr(2);
  writing = false;
  room: number = Infinity;
  incoming!: Incoming;
  outgoing!: Outgoing;
  pulls = 0;
  pauses = 0;
  readonly log: string[] = [];
  readonly sent: number[] = [];

  start(incoming: Incoming, outgoing: Outgoing): void {
    this.incoming = incoming;
    this.outgoing = outgoing;
  }
  pull(): void {
    this.pulls++;
  }
  pause(): void {
    this.pauses++;
  }
  isGone(): boolean {
    return false;
  }
  write(data: Uint8Array): number {
    if (this.writing) throw new Error("write while writing");
    const size = Math.min(this.room, data.length);
    this.sent.push(...data.subarray(0, size));
    this.room -= size;
    if (size < data.length) this.writing = true;
    return size;
  }
  /** Makes room, as if the kernel had sent something. */
  drain(room: number): void {
    this.room = room;
    this.writing = false;
    this.outgoing.drained();
  }
  closeWrite(): void {
    this.log.push("FIN");
  }
  close(): void {
    this.log.push("close");
  }
  reset(): void {
    this.log.push("RST");
  }
  ref(): void {}
  unref(): void {}
}
