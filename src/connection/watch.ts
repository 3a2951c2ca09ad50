/**
 * `deadPeerTimeout`: what it sets in the kernel, and the watch over data in flight, which keepalive
 * does not cover (Linux sends no keepalive probes while anything is unacknowledged or unsent).
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
 * Looks after one connection while something is in flight; asleep, without a timer, otherwise.
 *
 * When the peer is gone, writes and reads that wait are told at once. The kernel gets a user timeout
 * of 1 ms, so that it ends the connection at its next retransmission or probe in the ordinary way:
 * what has arrived and nobody has asked for yet can still be read.
 */
export class Watch extends Alarm {
  readonly #handle: Handle;
  /** In ms. */
  readonly timeout: number;
  readonly #timers: TimerQueue;
  readonly #gone: (cause: Error) => void;
  readonly #interval: number;
  readonly #silence: Silence;
  /** The peer was heard from at this time or later. */
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
      // So often the kernel probes then, whatever it waits for. Before Linux 6.15 it has no such
      // option: its probes grow apart, and only this watch bounds the time.
      const kernel = kernelFor("deadPeerTimeout");
      setInt(kernel, this.#descriptor(kernel), "TCP_RTO_MAX_MS", this.#interval);
    } catch {
      // The socket is closed already; whoever reads from it is told why.
    }
  }

  /** Something was sent. On the path of every write: one comparison while awake. */
  wake(): void {
    if (this.due !== Infinity || this.#condemned) return;
    const due = Math.max(this.#timers.now() + this.#interval / 2, this.#heard + this.timeout);
    // On a grid, so that many connections share a tick.
    const grid = this.#interval / 10;
    this.#timers.arm(this, Math.floor(due / grid) * grid);
  }

  override ring(): void {
    try {
      const next = this.#look();
      if (next < Infinity) this.#timers.arm(this, this.#timers.now() + next);
    } catch {
      // The socket is closed already: the runtime has seen an error, and told it.
    }
  }

  /** Returns after how many ms to look again, `Infinity` when there is nothing to watch. */
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
    // A read that comes later must not wait either.
    return this.#interval;
  }

  /**
   * The descriptor, or -1 when the socket is closed. Where a runtime has to search for it, that
   * takes longer than all the rest, so it is kept.
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
   * Hands over before `close`. Whatever is on the way has the whole timeout to be acknowledged. The kernel
   * gives up a socket that nobody owns as soon as its backoff has reached TCP_RTO_MAX_MS, so that
   * goes back to its default; before a closed window the socket goes on being owned.
   */
  release(): void {
    this.stop();
    try {
      const kernel = kernelFor("deadPeerTimeout");
      const fd = this.#descriptor(kernel);
      const info = readTcpInfo(kernel, fd);
      if (typeof info === "number" || info.state === "CLOSED") return;
      const copy = info.unacknowledged === 0 && info.notSent! > 0 ? kernel.dup(fd) : -1;
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
