/**
 * A guard at work: it looks at every descriptor of the process, round by round.
 *
 * @module
 */

import { Entry, type SocketEntry } from "../kernel/entry.ts";
import { type Identity, identityOf } from "../kernel/identity.ts";
import type { Kernel } from "../kernel/kernel.ts";
import type { SocketError } from "../errors.ts";
import { handleOf } from "../options/any_socket.ts";
import { applyPlan } from "../options/apply.ts";
import { setInt } from "../options/dead_peer.ts";
import { forgetOurs, isDialled, isOurs, learnOurs } from "../options/ours.ts";
import type { SocketPlan } from "../options/plan.ts";
import { nativeTimers } from "../time/native_timers.ts";
import { Alarm, type TimerQueue, timers as sharedTimers } from "../time/timers.ts";
import type { Guard, GuardStats } from "./guard.ts";
import type { Matches } from "./filter.ts";
import { onNodeSocket } from "./node_sockets.ts";
import { Walk } from "./walk.ts";

/** What a guard has to do. */
export interface Orders {
  readonly plan: SocketPlan;
  readonly matches: Matches;
  /** TCP_USER_TIMEOUT of attempts to connect, ms. */
  readonly attempt: number | undefined;
  readonly every: number;
}

/** The one implementation of a guard. */
export class Rounds extends Alarm implements Guard {
  readonly #kernel: Kernel;
  readonly #orders: Orders;
  readonly #timers: TimerQueue;
  readonly #walk: Walk;
  /** Sockets that have been given the options. */
  readonly #guarded: Map<Identity, Entry> = new Map();
  /** Descriptors of which it cannot be said yet whether they are to be guarded. */
  readonly #undecided: Set<number> = new Set();
  readonly #stats = { seen: 0, applied: 0, failed: 0, ended: 0 };
  readonly #unsubscribe: () => void;

  constructor(kernel: Kernel, orders: Orders, timers: TimerQueue = sharedTimers) {
    super();
    this.#kernel = kernel;
    this.#orders = orders;
    this.#timers = timers;
    this.#walk = new Walk(kernel);
    this.#look();
    this.#unsubscribe = onNodeSocket((socket) => this.#lookAtNode(socket));
    this.#arm();
  }

  get sockets(): SocketEntry[] {
    return [...this.#guarded.values()].flatMap(({ fd }) => Entry.of(this.#kernel, fd) ?? [])
      .filter(({ identity }) => this.#guarded.has(identity));
  }

  get stats(): GuardStats {
    return { ...this.#stats };
  }

  close(): void {
    this.#timers.remove(this);
    this.#unsubscribe();
    this.#guarded.clear();
  }

  [Symbol.dispose](): void {
    this.close();
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
    this.#timers.arm(this, this.#timers.now() + this.#orders.every);
  }

  /** One round. */
  #look(): void {
    this.#walk.look((fd, now, before) => {
      this.#undecided.delete(fd);
      this.#forget(fd, before);
      if (now !== 0 && !this.#guarded.has(now)) this.#undecided.add(fd);
    });
    if (this.#undecided.size === 0) return;
    this.#learnOurs();
    for (const fd of this.#undecided) if (this.#decide(fd)) this.#undecided.delete(fd);
  }

  #forget(fd: number, identity: Identity): void {
    forgetOurs(identity);
    // Another descriptor may still be the same socket.
    if (this.#guarded.get(identity)?.fd === fd) this.#guarded.delete(identity);
  }

  #learnOurs(): void {
    learnOurs((socket) => identityOf(this.#kernel, handleOf(socket, "guard").fd()));
  }

  #lookAtNode(socket: object): void {
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
    const entry = Entry.of(this.#kernel, fd);
    // No TCP socket; or another one since this moment, which the next walk sees.
    if (entry === undefined) return true;
    const { identity, state, remoteAddr } = entry;
    if (this.#guarded.has(identity) || isOurs(entry)) return true;
    if (state === "SYN-SENT") this.#bound(entry);
    // Runtimes set options of their own when a socket is connected; these are to come after them.
    if (state === "SYN-SENT" || state === "CLOSED") return false;
    if (remoteAddr !== undefined && isDialled(remoteAddr.port)) return false;
    return !this.#orders.matches(entry) || this.#apply(entry);
  }

  /** Whom it is dialling the kernel does not tell, so it must not be one of ours. */
  #bound(entry: Entry): void {
    const { attempt, matches } = this.#orders;
    if (attempt === undefined || isDialled() || !matches(entry)) return;
    this.#failure(entry, (fd) => setInt(this.#kernel, fd, "TCP_USER_TIMEOUT", attempt));
  }

  /** Returns `false` when it is to be tried again. */
  #apply(entry: Entry): boolean {
    const { kind, identity } = entry;
    const code = this.#failure(
      entry,
      (fd) => applyPlan({ kind, fd: () => fd }, this.#orders.plan),
    );
    if (code === "EMFILE") return false;
    if (code === "EBADF") return true;
    this.#stats.seen++;
    this.#stats[code === undefined ? "applied" : "failed"]++;
    if (code === undefined) this.#guarded.set(identity, entry);
    return true;
  }

  /** Returns why `use` could not be called, or what it met. */
  #failure(entry: Entry, use: (fd: number) => unknown): string | undefined {
    try {
      entry.borrow(this.#kernel, use);
      return undefined;
    } catch (error) {
      return (error as SocketError).code;
    }
  }
}
