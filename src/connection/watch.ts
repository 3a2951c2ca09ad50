/**
 * The watch over data in flight for `deadPeerTimeout`. Keepalive does not cover it, since Linux sends no
 * keepalive probes while anything is unacknowledged or unsent.
 *
 * @module
 */

import type { Handle } from "../adapter.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { type Identity, identityOf } from "../kernel/identity.ts";
import { coded } from "../kernel/system_error.ts";
import { readTcpInfo } from "../kernel/tcp_info.ts";
import { setInt } from "../options/dead_peer.ts";
import { Leaving } from "./leaving.ts";
import { longestInterval, probeInterval } from "../options/probing.ts";
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
  readonly #interval: number;
  readonly #silence: Silence;
  /** A time at or after which the peer was heard from. */
  #heard: number;
  #fd = -1;
  #identity: Identity | undefined = undefined;
  #condemned = false;

  constructor(
    handle: Handle,
    timeout: number,
    timers: TimerQueue,
    gone: (cause: Error) => void,
  ) {
    super();
    this.#handle = handle;
    this.timeout = timeout;
    this.#timers = timers;
    this.#gone = gone;
    this.#interval = probeInterval(timeout);
    this.#silence = new Silence(timeout);
    this.#heard = timers.now();
    try {
      // Makes the kernel probe this often. Before Linux 6.15 there is no such option. Its probes then
      // become rarer, and only this watch limits the time.
      const kernel = kernelFor("deadPeerTimeout");
      setInt(kernel, this.#descriptor(kernel), "TCP_RTO_MAX_MS", this.#interval);
    } catch {
      // The socket is closed already, and reading from it will fail.
    }
  }

  /** Called at every write. It costs one comparison while the watch is running. */
  wake(): void {
    if (this.due !== Infinity || this.#condemned) return;
    const due = Math.max(this.#timers.now() + this.#interval / 2, this.#heard + this.timeout);
    // Rounded, so that many connections ring at the same time.
    const grid = this.#interval / 10;
    this.#timers.arm(this, Math.floor(due / grid) * grid);
  }

  override ring(): void {
    try {
      const next = this.#look();
      if (next < Infinity) this.#timers.arm(this, this.#timers.now() + next);
    } catch {
      // The socket is closed already, and the runtime has reported an error.
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
    if (next > 0 && !this.#condemned) return next;
    if (!this.#condemned) setInt(kernel, fd, "TCP_USER_TIMEOUT", 1);
    this.#condemned = true;
    this.#gone(timedOut(this.timeout));
    // Looks again, since a read that starts later must not wait either.
    return this.#interval;
  }

  /**
   * The descriptor, or -1 when the socket is closed. It is kept, because in some runtimes it has to be
   * searched for, which takes longer than everything else here.
   */
  #descriptor(kernel: Kernel): number {
    if (this.#identity === undefined) {
      this.#fd = this.#handle.fd();
      this.#identity = identityOf(kernel, this.#fd);
    }
    return identityOf(kernel, this.#fd) === this.#identity ? this.#fd : -1;
  }

  /** Ends watching. */
  stop(): void {
    this.#timers.remove(this);
  }

  /** Ends watching and takes back what was set in the kernel beside keepalive. */
  undo(): void {
    this.stop();
    const kernel = kernelFor("deadPeerTimeout");
    setInt(kernel, this.#handle.fd(), "TCP_RTO_MAX_MS", longestInterval);
  }

  /**
   * To be called before `close`, after which only the kernel watches. What is in flight gets the whole
   * timeout to be acknowledged, by TCP_USER_TIMEOUT. The kernel gives up a closed socket as soon as its
   * backoff reaches TCP_RTO_MAX_MS, so that goes back to its default. If the peer's window is closed, a
   * duplicate of the descriptor stays open. It does not unless the kernel has the `whole` stream, as `close`
   * then sends RST, which a duplicate would hold back.
   */
  release(whole: boolean): void {
    this.stop();
    try {
      const kernel = kernelFor("deadPeerTimeout");
      const fd = this.#descriptor(kernel);
      const info = readTcpInfo(kernel, fd);
      if (typeof info === "number" || info.state === "CLOSED") return;
      const closed = info.unacknowledged === 0 && info.notSent! > 0;
      const copy = whole && closed ? kernel.dup(fd) : -1;
      if (copy >= 0) {
        new Leaving(kernel, copy, this.#timers, this.#silence, this.#interval);
        return;
      }
      setInt(kernel, fd, "TCP_RTO_MAX_MS", longestInterval);
      setInt(kernel, fd, "TCP_USER_TIMEOUT", Math.min(this.timeout, 2 ** 31 - 1));
    } catch {
      // The runtime has closed it already.
    }
  }
}

function timedOut(timeout: number): Error {
  return coded("ETIMEDOUT", `nothing was heard from the peer for ${timeout} ms`);
}
