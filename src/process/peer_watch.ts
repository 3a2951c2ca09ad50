/** `deadPeerTimeout` for a socket that this library did not open. */

import { Leaving, watchExit } from "../connection/leaving.ts";
import type { Entry } from "../kernel/entry.ts";
import { identityOf } from "../kernel/identity.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { readTcpInfo } from "../kernel/tcp_info.ts";
import { disconnect, hasUnread, lingerOf } from "../kernel/tcp_socket.ts";
import { setInt } from "../options/dead_peer.ts";
import { keepAliveFor, longestInterval } from "../options/probing.ts";
import { quicken, relax } from "../options/quicken.ts";
import { Silence, silenceOf } from "../options/silence.ts";
import { Alarm, type TimerQueue } from "../time/timers.ts";

/** The guard of a watched connection. */
export interface WatchingGuard {
  readonly kernel: Kernel;
  readonly timers: TimerQueue;
  /** Sets the options of the guard. */
  apply(entry: Entry): unknown;
  /** Called when the socket was ended. */
  ended(entry: Entry): void;
}

/**
 * Watches one connection. It does not know of writes, so it looks whenever the peer could have been gone
 * for long enough: `timeout` after the peer was last heard from, and once before.
 */
export class PeerWatch extends Alarm {
  readonly entry: Entry;
  readonly #guard: WatchingGuard;
  readonly #timeout: number;
  readonly #silence: Silence;
  /** After a silence of this length, ms, keepalive must have sent a probe. */
  readonly #expected: number;
  /** A duplicate of the descriptor while the kernel retransmits or probes often, or -1. */
  #copy = -1;
  #gaveUp = false;
  /** Since when the peer has not answered, by the timers' clock; `Infinity` while it does. */
  #silentSince = Infinity;

  constructor(entry: Entry, timeout: number, guard: WatchingGuard) {
    super();
    this.entry = entry;
    this.#timeout = timeout;
    this.#guard = guard;
    this.#silence = new Silence(timeout);
    const { idle, interval } = keepAliveFor(timeout);
    this.#expected = idle + interval + 500;
    this.ring();
  }

  override ring(): void {
    let next: number;
    try {
      next = this.#look();
    } catch {
      // The socket is closed, or no descriptor is free. The next look tells.
      next = this.#silence.interval;
    }
    if (next === Infinity) return this.lost();
    const { timers } = this.#guard;
    // Rounded, so that many connections ring at the same time.
    const grid = this.#silence.interval / 10;
    timers.arm(this, Math.ceil((timers.now() + next) / grid) * grid);
  }

  /** Looks at once if the peer has been silent for the timeout, so that what is counted is up to date. */
  check(): void {
    if (this.#expired) this.ring();
  }

  /** Called when the socket is gone. Keepalive may have ended it because its peer was gone. */
  lost(): void {
    if (this.#expired) this.#guard.ended(this.entry);
    this.#silentSince = Infinity;
    this.stop();
  }

  get #expired(): boolean {
    return this.#guard.timers.now() - this.#silentSince >= this.#timeout;
  }

  /** Returns in how many ms to look again: `Infinity` when the socket is gone. */
  #look(): number {
    const { kernel } = this.#guard;
    const { entry } = this;
    const info = readTcpInfo(kernel, entry.fd);
    if (typeof info === "number" || info.state === "CLOSED") return Infinity;
    if (identityOf(kernel, entry.fd) !== entry.identity) return Infinity;
    if (this.#gaveUp) return this.#end();
    const next = this.#silence.look(info);
    if (next === 0) return this.#giveUp();
    const silence = silenceOf(info);
    const asked = info.probes! + info.retransmits! > 0;
    this.#silentSince = asked ? this.#guard.timers.now() - silence : Infinity;
    const half = this.#timeout / 2 - silence;
    const inFlight = info.unacknowledged! > 0;
    if (inFlight ? half > 0 : info.notSent === 0) this.#release();
    else if (half <= 0) this.#hurry();
    if (half > 0) return Math.max(half, this.#silence.interval / 2);
    if (next < Infinity) return next;
    if (asked) return this.#silence.interval;
    // The owner has changed keepalive, so the guard sets it again.
    if (silence > this.#expected) this.#guard.apply(entry);
    return Math.max(this.#timeout - silence, this.#silence.interval);
  }

  /**
   * Makes the kernel retransmit or probe at least once in each interval (from Linux 6.15 on), while the peer
   * does not acknowledge, or its window is closed. In a socket without a descriptor the kernel then gives up
   * what is unsent at once, and a client that is only slow would lose the end of what a server has sent. So a
   * duplicate stays open when the owner closes the socket.
   */
  #hurry(): void {
    if (this.#copy >= 0) return;
    const { kernel } = this.#guard;
    this.#copy = this.entry.borrow(kernel, (fd) => kernel.dup(fd));
    quicken(kernel, this.#copy, this.entry.identity, this.#silence);
    watchExit();
  }

  /** Whether the kernel retransmits or probes often. */
  get hurries(): boolean {
    return this.#copy >= 0;
  }

  override exit(): void {
    setInt(this.#guard.kernel, this.#copy, "TCP_RTO_MAX_MS", longestInterval);
  }

  /** Closes the duplicate, or if the owner has closed the socket, when the peer has everything or is gone. */
  #release(): void {
    const { kernel, timers } = this.#guard;
    const copy = this.#copy;
    if (copy < 0) return;
    const { fd, identity } = this.entry;
    const open = identityOf(kernel, fd) === identity;
    relax(kernel, open ? copy : -1, identity, this.#silence);
    this.#copy = -1;
    // In the last two cases the owner's close was to reset the connection.
    if (open || lingerOf(kernel, copy) === 0 || hasUnread(kernel, copy)) kernel.close(copy);
    else new Leaving(kernel, copy, timers, this.#silence, () => false);
  }

  stop(): void {
    this.#guard.timers.remove(this);
    this.#release();
  }

  /**
   * Ends the connection. If something has arrived and was not read, the kernel does it at its next probe,
   * since a reset would discard what has arrived.
   */
  #giveUp(): number {
    const { kernel } = this.#guard;
    // This throws when no descriptor is free, and then the next look tries again.
    const unread = this.entry.borrow(kernel, (fd) => {
      setInt(kernel, fd, "TCP_USER_TIMEOUT", 1);
      return hasUnread(kernel, fd);
    });
    this.#gaveUp = true;
    this.#silentSince = Infinity;
    this.#guard.ended(this.entry);
    return unread ? this.#silence.interval : this.#end();
  }

  #end(): number {
    const { kernel } = this.#guard;
    this.entry.borrow(kernel, (fd) => disconnect(kernel, fd));
    return Infinity;
  }
}
