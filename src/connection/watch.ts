/**
 * The watch over data in flight for `deadPeerTimeout`. Keepalive does not cover it, since Linux sends no
 * keepalive probes while anything is unacknowledged or unsent.
 */

import type { Handle } from "../adapter.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { type Identity, identityOf } from "../kernel/identity.ts";
import { coded } from "../kernel/system_error.ts";
import { readTcpInfo, type TcpInfo } from "../kernel/tcp_info.ts";
import { setInt } from "../options/dead_peer.ts";
import { Leaving, watchExit } from "./leaving.ts";
import { longestInterval } from "../options/probing.ts";
import { quicken, relax } from "../options/quicken.ts";
import { Silence, silenceOf } from "../options/silence.ts";
import { kernelFor } from "../options/support.ts";
import { Alarm, type TimerQueue } from "../time/timers.ts";

/**
 * Watches one connection while data is in flight. At other times it has no timer.
 *
 * When the peer is gone, waiting reads and writes reject at once. The kernel gets a user timeout of 1 ms,
 * so that it ends the connection in the ordinary way at its next retransmission or probe, and what has
 * arrived can still be read.
 */
export class Watch extends Alarm {
  readonly #handle: Handle;
  /** In ms. */
  readonly timeout: number;
  readonly #timers: TimerQueue;
  readonly #gone: (cause: Error) => void;
  /** Whether the runtime still has something to send. */
  readonly #sending: () => boolean;
  /** Whether both sides have finished. */
  readonly #over: () => boolean;
  readonly #silence: Silence;
  /** A time at or after which the peer was heard from. */
  #heard: number;
  #fd = -1;
  #identity: Identity | undefined = undefined;
  /** A duplicate of the descriptor, or -1. */
  #copy = -1;
  /** How many calls of `end` wait. */
  #ending = 0;
  #released = false;
  #condemned = false;

  constructor(
    handle: Handle,
    timeout: number,
    timers: TimerQueue,
    gone: (cause: Error) => void,
    sending: () => boolean,
    over: () => boolean,
  ) {
    super();
    this.#handle = handle;
    this.timeout = timeout;
    this.#timers = timers;
    this.#gone = gone;
    this.#sending = sending;
    this.#over = over;
    this.#silence = new Silence(timeout);
    this.#heard = timers.now();
    watchExit();
    // Where the kernel cannot, its probes become rarer, and only this watch limits the time.
    this.#probe(quicken);
  }

  /** Called at every write. It costs one comparison while the watch is running. */
  wake(): void {
    if (this.due !== Infinity || this.#condemned || this.#released) return;
    const due = Math.max(
      this.#timers.now() + this.#silence.interval / 2,
      this.#heard + this.timeout,
    );
    // Rounded, so that many connections ring at the same time.
    const grid = this.#silence.interval / 10;
    this.#timers.arm(this, Math.floor(due / grid) * grid);
  }

  /** Looks in the next turn of the event loop. */
  hurry(): void {
    this.#timers.arm(this, this.#timers.now());
  }

  override ring(): void {
    try {
      const next = this.#look();
      if (next < Infinity) this.#timers.arm(this, this.#timers.now() + next);
    } catch {
      // The socket is closed already, and the runtime has reported an error.
    }
  }

  override exit(): void {
    try {
      const kernel = kernelFor("deadPeerTimeout");
      setInt(kernel, this.#descriptor(kernel), "TCP_RTO_MAX_MS", longestInterval);
    } catch {
      // The socket is closed already.
    }
  }

  /** Returns in how many ms to look again: `Infinity` when there is nothing to watch. */
  #look(): number {
    const kernel = kernelFor("deadPeerTimeout");
    const fd = this.#descriptor(kernel);
    const info = readTcpInfo(kernel, fd);
    if (typeof info === "number" || info.state === "CLOSED") return Infinity;
    const next = this.#silence.look(info);
    this.#heard = this.#timers.now() - silenceOf(info);
    // When the event loop was busy, this may come before the kernel has what was written.
    if (next === Infinity && this.#sending()) return this.#silence.interval / 2;
    if (next > 0 && !this.#condemned) return next;
    if (!this.#condemned) setInt(kernel, fd, "TCP_USER_TIMEOUT", 1);
    this.#condemned = true;
    this.#gone(timedOut(this.timeout));
    // Looks again, since a read that starts later must not wait either.
    return this.#silence.interval;
  }

  /**
   * The descriptor, or -1 when the socket is closed. It is kept, because in some runtimes it has to be
   * searched for, which takes longer than everything else here.
   */
  #descriptor(kernel: Kernel): number {
    if (this.#copy >= 0) return this.#copy;
    let identity = identityOf(kernel, this.#fd);
    if (this.#identity === undefined || identity !== this.#identity) {
      // It may be closed, and have been a duplicate that a search has found, of a guard's for instance.
      this.#fd = this.#handle.fd();
      identity = identityOf(kernel, this.#fd);
      this.#identity ??= identity;
    }
    return identity === this.#identity ? this.#fd : -1;
  }

  #probe(change: typeof quicken | typeof relax): void {
    try {
      const kernel = kernelFor("deadPeerTimeout");
      const fd = this.#descriptor(kernel);
      if (this.#identity !== undefined) change(kernel, fd, this.#identity, this.#silence);
    } catch {
      // The socket is closed already, and reading from it will fail.
    }
  }

  /**
   * To be called before FIN is sent. Some runtimes close a socket as soon as both sides have finished, though
   * the peer may not have everything. With a duplicate of the descriptor, the kernel does not give up early
   * (see `release`).
   */
  keep(): void {
    if (this.#copy >= 0 || this.#released) return;
    try {
      const kernel = kernelFor("deadPeerTimeout");
      this.#copy = kernel.dup(this.#descriptor(kernel));
    } catch {
      // The socket is closed already.
    }
  }

  /** To be called when a side has finished. After both, no call waits for the peer any more. */
  finished(): void {
    if (this.#ending === 0 && this.#over()) this.release(true);
  }

  /** To be called when a call of `end`, which waits for acknowledgements, begins and when it is over. */
  ending(on: boolean): void {
    this.#ending += on ? 1 : -1;
    this.finished();
  }

  /** To be called when the connection is gone. Closes the duplicate. */
  drop(): void {
    if (this.#identity === undefined) return;
    const kernel = kernelFor("deadPeerTimeout");
    relax(kernel, -1, this.#identity, this.#silence);
    if (this.#copy >= 0) kernel.close(this.#copy);
    this.#copy = -1;
  }

  stop(): void {
    this.#timers.remove(this);
    this.drop();
  }

  /** Ends watching and takes back what was set in the kernel beside keepalive. */
  undo(): void {
    this.#probe(relax);
    this.stop();
  }

  /**
   * To be called before `close`, or when both sides have finished. What is in flight gets the whole timeout to
   * be acknowledged, by TCP_USER_TIMEOUT. That would also give up a live peer whose window is closed, and
   * without TCP_USER_TIMEOUT the kernel gives up a closed socket as soon as its backoff reaches
   * TCP_RTO_MAX_MS. So if something waits for the window, a duplicate of the descriptor stays open, unless the
   * kernel does not have the `whole` stream, as `close` then sends RST, which a duplicate would hold back.
   * With `tls` the runtime still sends `close_notify`.
   */
  release(whole: boolean, tls: boolean = false): void {
    if (this.#released) return;
    this.#released = true;
    this.#timers.remove(this);
    try {
      const kernel = kernelFor("deadPeerTimeout");
      const fd = this.#descriptor(kernel);
      const info = readTcpInfo(kernel, fd);
      if (typeof info === "number" || info.state === "CLOSED") return;
      const copy = whole && waitsForWindow(info) ? kernel.dup(fd) : -1;
      if (copy >= 0) {
        const closing = () => tls && identityOf(kernel, this.#fd) === this.#identity;
        new Leaving(kernel, copy, this.#timers, this.#silence, closing);
      } else setInt(kernel, fd, "TCP_USER_TIMEOUT", Math.min(this.timeout, 2 ** 31 - 1));
    } catch {
      // The runtime has closed it already.
    } finally {
      this.drop();
    }
  }
}

/** Whether the peer's window may have no room for what is to be sent, of which FIN is the last. */
function waitsForWindow(info: TcpInfo): boolean {
  const { notSent = 0, unacknowledged = 0, sendWindow = Infinity, sendMaxSegmentSize } = info;
  return notSent > 0 || unacknowledged * sendMaxSegmentSize >= sendWindow;
}

function timedOut(timeout: number): Error {
  return coded("ETIMEDOUT", `nothing was heard from the peer for ${timeout} ms`);
}
