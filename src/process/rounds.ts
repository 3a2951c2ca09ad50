/** The work of a guard: it looks at every descriptor of the process, again and again. */

import { Entry, type SocketEntry } from "../kernel/entry.ts";
import { type Identity, identityOf } from "../kernel/identity.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { publish } from "../events.ts";
import { handleOf } from "../options/any_socket.ts";
import { applyPlan, type SupportedPlan } from "../options/apply.ts";
import { setInt } from "../options/dead_peer.ts";
import { isDialled, isOurs, learnOurs } from "../options/ours.ts";
import { nativeTimers } from "../time/native_timers.ts";
import { Alarm, type TimerQueue, timers as sharedTimers } from "../time/timers.ts";
import type { Matches } from "./filter.ts";
import { type NetSocket, onNodeSocket } from "./node_sockets.ts";
import { PeerWatch, type WatchingGuard } from "./peer_watch.ts";
import { Walk } from "./walk.ts";

/** What a guard has to do. */
export interface GuardPlan {
  readonly options: SupportedPlan;
  readonly matches: Matches;
  /** TCP_USER_TIMEOUT of attempts to connect, ms. */
  readonly attempt: number | undefined;
  readonly every: number;
}

interface Guarded {
  readonly entry: Entry;
  /** Watches the peer. Only with `deadPeerTimeout`. */
  readonly watch: PeerWatch | undefined;
}

/**
 * How many sockets get their options at once, how many more after each pause, and the length of a pause
 * in ms. Sockets that get keepalive at the same time send their probes at the same time, and queues of
 * the network hold about a thousand packets.
 */
const [first, next, pause] = [750, 150, 50];

/** This long after it is connected, a connection of ours is known to be ours, ms: as soon as the event loop turns. */
const settling = 500;

/** Looks at all sockets in rounds, and sets the options. */
export class Rounds extends Alarm implements WatchingGuard {
  readonly kernel: Kernel;
  readonly #plan: GuardPlan;
  readonly timers: TimerQueue;
  readonly #walk: Walk;
  /** Sockets on which the options were set. */
  readonly #guarded: Map<Identity, Guarded> = new Map();
  /** Attempts to connect that have a limit of the guard's. */
  readonly #limited: Map<Identity, Entry> = new Map();
  /**
   * Descriptors for which it is not decided yet whether they get the options, and when each was first seen
   * connected: `Infinity` when it was not.
   */
  readonly #undecided: Map<number, number> = new Map();
  /** Whether some of them were seen connected for the first time at the last look. */
  #again = false;
  /** Sockets that were guarded, and of which a descriptor was closed. */
  readonly #lost: Set<Identity> = new Set();
  /** Ports of those whose owner has heard that they are connected, where the runtime shows no descriptor. */
  readonly #heard: Set<string> = new Set();
  /** When the next round may come that new connections cause. */
  #soonest = -Infinity;
  /** How many sockets may still get their options before the next pause. */
  #allowance: number = first;
  readonly stats: Record<"seen" | "applied" | "failed" | "ended", number> = {
    seen: 0,
    applied: 0,
    failed: 0,
    ended: 0,
  };
  readonly #unsubscribe: () => void;
  #closed = false;

  constructor(kernel: Kernel, plan: GuardPlan, timers: TimerQueue = sharedTimers) {
    super();
    this.kernel = kernel;
    this.#plan = plan;
    this.timers = timers;
    this.#walk = new Walk(kernel, plan.every);
    this.#unsubscribe = onNodeSocket((socket) => this.#lookAtNode(socket));
    try {
      this.#look(true);
    } catch (error) {
      // The caller's filter has thrown, and there will be no guard that could be closed.
      this.close();
      throw error;
    }
    this.#arm();
  }

  get sockets(): SocketEntry[] {
    return [...this.#guarded.values()]
      .flatMap(({ entry }) => Entry.of(this.kernel, entry.fd) ?? [])
      .filter(({ identity }) => this.#guarded.has(identity));
  }

  /** What the guard has done so far. */
  count(): Rounds["stats"] {
    for (const { watch } of this.#guarded.values()) watch?.check();
    return { ...this.stats };
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.timers.remove(this);
    this.#unsubscribe();
    for (const { watch } of this.#guarded.values()) watch?.stop();
    this.#guarded.clear();
    // When they are connected, nobody would take the limit back, which also ends a peer that does not read.
    for (const entry of this.#limited.values()) this.#limit(entry, 0);
  }

  /** Looks after all waiting events, in which runtimes set options of their own on new connections. */
  override ring(): void {
    nativeTimers().setImmediate(() => {
      if (this.#closed) return;
      // What the caller's filter throws becomes an uncaught exception, but the guard goes on.
      try {
        this.#look();
      } finally {
        this.#arm();
      }
    });
  }

  #arm(): void {
    if (this.#closed) return;
    const wait = this.#allowance <= 0 ? pause : this.#again ? 0 : this.#plan.every;
    this.timers.arm(this, this.timers.now() + wait);
  }

  /** Does one round, or continues one after a pause. With `now`, connected sockets are decided at once. */
  #look(now = false): void {
    const going = this.#allowance <= 0;
    if (going) this.#allowance = next;
    else if (!this.#again) this.#allowance = first;
    this.#again = false;
    const start = this.timers.now();
    if (!going) this.#seek();
    this.#repeat();
    const end = this.timers.now();
    this.#soonest = end + 10 + 20 * (end - start);
    if (this.#undecided.size === 0) return;
    this.#learnOurs();
    for (const [fd, since] of [...this.#undecided]) {
      // The caller's filter may have closed the guard.
      if (this.#allowance <= 0 || this.#closed) return;
      // If the filter throws, the socket comes last in the next round, so that others are not kept waiting.
      this.#undecided.delete(fd);
      let wait: number | undefined = since;
      try {
        wait = this.#decide(fd, since, now);
      } finally {
        if (wait !== undefined) this.#undecided.set(fd, wait);
      }
    }
  }

  #seek(): void {
    this.#walk.look(this.#changed);
    if (this.#lost.size === 0) return;
    // Another descriptor may still be open for the same socket.
    for (const [identity, fd] of this.#walk.find(this.#lost)) {
      const entry = Entry.of(this.kernel, fd, identity);
      if (entry !== undefined && !this.#guarded.has(identity)) this.#guard(entry);
    }
    this.#lost.clear();
  }

  #learnOurs(): void {
    learnOurs((socket) => identityOf(this.kernel, handleOf(socket, "guard").fd()));
  }

  /** Called when a descriptor has become another socket. */
  readonly #changed = (fd: number, now: Identity, before: Identity): void => {
    this.#undecided.delete(fd);
    this.#limited.delete(before);
    const { entry, watch } = this.#guarded.get(before) ?? {};
    if (entry?.fd === fd) {
      this.#guarded.delete(before);
      // Otherwise the watch keeps a duplicate until the peer has everything.
      if (watch?.hurries !== true) this.#lost.add(before);
      watch?.lost();
    }
    if (now !== 0 && !this.#guarded.has(now)) this.#undecided.set(fd, Infinity);
  };

  #lookAtNode({ _handle, localPort, remotePort }: NetSocket): void {
    if (this.#closed || !_handle) return;
    const { fd } = _handle;
    if (fd === undefined) {
      this.#heard.add(`${localPort} ${remotePort}`);
      return this.#hasten();
    }
    // Otherwise no round would notice the end of a socket that is closed before the next one.
    this.#walk.lookAt(fd, this.#changed);
    const guarded = this.#guarded.get(identityOf(this.kernel, fd)!);
    // A round may have been faster than the `connect` event, in which the owner has set options since.
    if (guarded !== undefined) return void this.apply(guarded.entry);
    this.#learnOurs();
    if (this.#decide(fd, Infinity, true) === undefined) this.#undecided.delete(fd);
  }

  /** Does a round soon. As it takes the longer the more descriptors there are, such rounds take 5 % of the time. */
  #hasten(): void {
    const due = Math.max(this.#soonest, this.timers.now());
    if (this.#allowance > 0 && due < this.due) this.timers.arm(this, due);
  }

  /** In Deno a round may have come before the owner has set options of its own, so they are set again. */
  #repeat(): void {
    if (this.#heard.size === 0) return;
    for (const { entry } of this.#guarded.values()) {
      const { localAddr, remoteAddr } = entry;
      if (this.#heard.has(`${localAddr.port} ${remoteAddr?.port}`)) this.apply(entry);
    }
    this.#heard.clear();
  }

  /**
   * Decides whether a socket gets the options, that was first seen connected at the time `since`. Returns
   * `undefined`, or that time when it is not decided yet. With `heard`, its owner has heard that it is connected.
   */
  #decide(fd: number, since: number, heard: boolean): number | undefined {
    const entry = Entry.of(this.kernel, fd);
    // It is not a TCP socket, or the descriptor has just become another one, which the next walk sees.
    if (entry === undefined) return undefined;
    const { identity, state, remoteAddr } = entry;
    if (this.#guarded.has(identity) || isOurs(entry)) return undefined;
    if (state === "SYN-SENT") this.#bound(entry);
    if (state === "SYN-SENT" || state === "CLOSED") return Infinity;
    const now = this.timers.now();
    const seen = Math.min(since, now);
    // It may be ours, which would be known soon.
    if (remoteAddr !== undefined && isDialled(remoteAddr.port) && now - seen < settling) {
      return seen;
    }
    // Runtimes and owners set options when they hear of the connection, which takes a turn of the event
    // loop. The guard's have to come after them.
    if (!heard && since === Infinity && entry.kind === "connection") {
      this.#again = true;
      return seen;
    }
    const decided = !this.#plan.matches(entry) || this.#closed || this.#take(entry);
    return decided ? undefined : seen;
  }

  /**
   * Limits an attempt to connect. Before it is connected it cannot be told from one of ours, so nothing is
   * done while this library is dialling.
   */
  #bound(entry: Entry): void {
    const { attempt, matches } = this.#plan;
    if (attempt === undefined || isDialled() || !matches(entry)) return;
    this.#limited.set(entry.identity, entry);
    this.#limit(entry, attempt);
  }

  #limit(entry: Entry, ms: number): void {
    this.#failure(entry, (fd) => setInt(this.kernel, fd, "TCP_USER_TIMEOUT", ms));
  }

  /** Sets the options on a socket. Returns `false` when that has to be tried again. */
  #take(entry: Entry): boolean {
    const code = this.apply(entry);
    if (code === undefined) this.#limited.delete(entry.identity);
    if (code === "EMFILE") return false;
    if (code === "EBADF") return true;
    this.#allowance--;
    this.stats.seen++;
    const event = code === undefined ? "applied" : "failed";
    this.stats[event]++;
    if (code === undefined) this.#guard(entry);
    // Comes last, since a subscriber may close the guard.
    publish("holdfast.guard", () => ({ event, socket: entry, code }));
    return true;
  }

  #guard(entry: Entry): void {
    const { deadPeerTimeout } = this.#plan.options;
    const watched = deadPeerTimeout !== undefined && entry.kind === "connection";
    const watch = watched ? new PeerWatch(entry, deadPeerTimeout, this) : undefined;
    this.#guarded.set(entry.identity, { entry, watch });
  }

  /** Called when a connection was ended because its peer was gone. */
  ended(entry: Entry): void {
    this.stats.ended++;
    publish("holdfast.guard", () => ({ event: "ended", socket: entry }));
  }

  /** Sets the options. Returns the code of the error, if there was one. */
  apply(entry: Entry): string | undefined {
    const { steps } = this.#plan.options;
    return this.#failure(entry, (fd) => applyPlan({ kind: entry.kind, fd: () => fd }, steps));
  }

  /** Calls `use` with the socket's descriptor. Returns the code of the error, if there was one. */
  #failure(entry: Entry, use: (fd: number) => unknown): string | undefined {
    try {
      entry.borrow(this.kernel, use);
      return undefined;
    } catch (error) {
      return (error as { code?: string }).code;
    }
  }
}
