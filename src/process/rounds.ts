/**
 * A guard at work: it looks at every descriptor of the process, round by round.
 *
 * @module
 */

import { Entry, type SocketEntry } from "../kernel/entry.ts";
import { type Identity, identityOf } from "../kernel/identity.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { SocketError } from "../errors.ts";
import { publish } from "../events.ts";
import { handleOf } from "../options/any_socket.ts";
import { applyPlan, type SupportedPlan } from "../options/apply.ts";
import { setInt } from "../options/dead_peer.ts";
import { forgetOurs, isDialled, isOurs, learnOurs } from "../options/ours.ts";
import { probeInterval } from "../options/probing.ts";
import { nativeTimers } from "../time/native_timers.ts";
import { Alarm, type TimerQueue, timers as sharedTimers } from "../time/timers.ts";
import type { Matches } from "./filter.ts";
import { onNodeSocket } from "./node_sockets.ts";
import { Walk } from "./walk.ts";
import { type Guardian, Ward } from "./ward.ts";

/** What a guard has to do. */
export interface Orders {
  readonly plan: SupportedPlan;
  readonly matches: Matches;
  /** TCP_USER_TIMEOUT of attempts to connect, ms. */
  readonly attempt: number | undefined;
  readonly every: number;
}

interface Guarded {
  readonly entry: Entry;
  /** With `deadPeerTimeout`. */
  readonly ward: Ward | undefined;
}

/**
 * So many sockets are given their options in one go, and so many more in each of the pauses after it, ms.
 * Those that have theirs at the same time probe at the same time from then on, and queues of the network
 * hold a thousand packets.
 */
const [first, next, pause] = [750, 150, 50];

/** What a guard does. */
export class Rounds extends Alarm implements Guardian {
  readonly kernel: Kernel;
  readonly #orders: Orders;
  readonly timers: TimerQueue;
  readonly #walk: Walk;
  /** Sockets that have been given the options. */
  readonly #guarded: Map<Identity, Guarded> = new Map();
  /** Descriptors of which it cannot be said yet whether they are to be guarded. */
  readonly #undecided: Set<number> = new Set();
  /** How many may still be given their options in this go. */
  #allowance: number = first;
  readonly stats: Record<"seen" | "applied" | "failed" | "ended", number> = {
    seen: 0,
    applied: 0,
    failed: 0,
    ended: 0,
  };
  readonly #unsubscribe: () => void;
  #closed = false;

  constructor(kernel: Kernel, orders: Orders, timers: TimerQueue = sharedTimers) {
    super();
    this.kernel = kernel;
    this.#orders = orders;
    this.timers = timers;
    this.#walk = new Walk(kernel);
    this.#look();
    this.#unsubscribe = onNodeSocket((socket) => this.#lookAtNode(socket));
    this.#arm();
  }

  get sockets(): SocketEntry[] {
    return [...this.#guarded.values()]
      .flatMap(({ entry }) => Entry.of(this.kernel, entry.fd) ?? [])
      .filter(({ identity }) => this.#guarded.has(identity));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.timers.remove(this);
    this.#unsubscribe();
    for (const { ward } of this.#guarded.values()) if (ward !== undefined) this.timers.remove(ward);
    this.#guarded.clear();
  }

  override ring(): void {
    try {
      this.#look();
    } catch (error) {
      // Thrown by the caller's filter: as from a listener of an event, without ending the guard.
      nativeTimers().setImmediate(() => {
        throw error;
      });
    }
    this.#arm();
  }

  #arm(): void {
    if (this.#closed) return;
    const wait = this.#allowance > 0 ? this.#orders.every : pause;
    this.timers.arm(this, this.timers.now() + wait);
  }

  /** One round, or what was left of one. */
  #look(): void {
    const going = this.#allowance <= 0;
    this.#allowance = going ? next : first;
    if (!going) this.#seek();
    if (this.#undecided.size === 0) return;
    this.#learnOurs();
    for (const fd of this.#undecided) {
      // The caller's filter may have closed the guard.
      if (this.#allowance <= 0 || this.#closed) return;
      if (this.#decide(fd)) this.#undecided.delete(fd);
    }
  }

  #seek(): void {
    this.#walk.look((fd, now, before) => {
      this.#undecided.delete(fd);
      this.#forget(fd, before);
      if (now !== 0 && !this.#guarded.has(now)) this.#undecided.add(fd);
    });
  }

  #forget(fd: number, identity: Identity): void {
    forgetOurs(identity);
    const guarded = this.#guarded.get(identity);
    // Or another descriptor is the same socket.
    if (guarded?.entry.fd !== fd) return;
    this.#guarded.delete(identity);
    if (guarded.ward !== undefined) this.timers.remove(guarded.ward);
  }

  #learnOurs(): void {
    learnOurs((socket) => identityOf(this.kernel, handleOf(socket, "guard").fd()));
  }

  #lookAtNode(socket: object): void {
    if (this.#closed) return;
    let fd: number;
    try {
      fd = handleOf(socket, "guard").fd();
    } catch {
      // Closed already, or not TCP. If neither, the next round finds it.
      return;
    }
    this.#learnOurs();
    this.#decide(fd);
  }

  /** Guards a socket, or does not. Returns `false` when that cannot be said yet. */
  #decide(fd: number): boolean {
    const entry = Entry.of(this.kernel, fd);
    // No TCP socket; or another one since this moment, which the next walk sees.
    if (entry === undefined) return true;
    const { identity, state, remoteAddr } = entry;
    if (this.#guarded.has(identity) || isOurs(entry)) return true;
    if (state === "SYN-SENT") this.#bound(entry);
    // Runtimes set options of their own when a socket is connected; these are to come after them.
    if (state === "SYN-SENT" || state === "CLOSED") return false;
    if (remoteAddr !== undefined && isDialled(remoteAddr.port)) return false;
    return !this.#orders.matches(entry) || this.#closed || this.#take(entry);
  }

  /** Whom it is dialling the kernel does not tell, so it must not be one of ours. */
  #bound(entry: Entry): void {
    const { attempt, matches } = this.#orders;
    if (attempt === undefined || isDialled() || !matches(entry)) return;
    this.#failure(entry, (fd) => setInt(this.kernel, fd, "TCP_USER_TIMEOUT", attempt));
  }

  /** Returns `false` when it is to be tried again. */
  #take(entry: Entry): boolean {
    const code = this.apply(entry);
    if (code === "EMFILE") return false;
    if (code === "EBADF") return true;
    this.#allowance--;
    this.stats.seen++;
    this.stats[code === undefined ? "applied" : "failed"]++;
    publish("holdfast.guard", () => ({
      event: code === undefined ? "applied" : "failed",
      socket: entry,
      code,
    }));
    if (code !== undefined) return true;
    const { deadPeerTimeout } = this.#orders.plan;
    const watched = deadPeerTimeout !== undefined && entry.kind === "connection";
    const ward = watched ? new Ward(entry, deadPeerTimeout, this) : undefined;
    this.#guarded.set(entry.identity, { entry, ward });
    return true;
  }

  /** A ward was ended. */
  ended(entry: Entry): void {
    this.stats.ended++;
    publish("holdfast.guard", () => ({ event: "ended", socket: entry }));
  }

  /** Sets the options. Returns what has gone wrong. */
  apply(entry: Entry): string | undefined {
    const { plan } = this.#orders;
    return this.#failure(entry, (fd) => {
      applyPlan({ kind: entry.kind, fd: () => fd }, plan);
      if (plan.deadPeerTimeout === undefined) return;
      // Linux 6.15. Without it the kernel asks at growing intervals.
      setInt(this.kernel, fd, "TCP_RTO_MAX_MS", probeInterval(plan.deadPeerTimeout));
    });
  }

  /** Returns why `use` could not be called, or what it met. */
  #failure(entry: Entry, use: (fd: number) => unknown): string | undefined {
    try {
      entry.borrow(this.kernel, use);
      return undefined;
    } catch (error) {
      return (error as SocketError).code;
    }
  }
}
