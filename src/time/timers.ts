/**
 * One native timer for all timeouts of the process.
 *
 * Most timeouts never ring: the call ends first. So ending a call only marks its alarm, and arming
 * it again for a later time only writes that time; the heap is touched when an alarm is new, when
 * it has to ring earlier than the queue would look, and once whenever the queue looks at it.
 *
 * @module
 */

import { nativeTimers, now } from "./native_timers.ts";

/** Where time comes from; tests bring their own. */
export interface Clock {
  /** Monotonic, ms. */
  now(): number;
  /** Runs `wake` after `ms` (1 to 2^31 - 1), without keeping the process alive. */
  start(wake: () => void, ms: number): unknown;
  stop(timer: unknown): void;
}

/** Something to do at a point in time. Reused: at most one ring for each arming. */
export abstract class Alarm {
  /** When to ring; `Infinity` while disarmed. */
  due: number = Infinity;
  /** Place in the heap, -1 while not in it. */
  slot: number = -1;

  /** Called once, at `due` or later, disarmed. Must not throw. */
  abstract ring(): void;
}

/** Longest delay that the runtimes' own timers take; beyond it they fire at once. */
const longest = 2 ** 31 - 1;

/** A native timer that is later than this, ms, is not late but lost, as when its clock was a test's. */
const patience = 1_000;

/** A binary heap of alarms over one native timer. */
export class TimerQueue {
  /** How late the native timer fired, in ms, in the tick that is running or ran last. */
  lag = 0;
  readonly #clock: Clock;
  readonly #heap: Alarm[] = [];
  /** When to look at each alarm of the heap, never later than its `due`. */
  readonly #looks: number[] = [];
  readonly #tick: () => void = () => this.#run();
  #timer: unknown = undefined;
  /** When the native timer fires; `Infinity` while there is none. */
  #wake = Infinity;
  /** When it counts as lost. */
  #lost = Infinity;
  /** The last answer of the clock: arming does not ask it. */
  #seen = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How late the tick that is running is, in ms; 0 when none is. */
  get late(): number {
    return this.#wake === -Infinity ? this.lag : 0;
  }

  /** Now, on the clock that `due` is on. */
  now(): number {
    return this.#seen = this.#clock.now();
  }

  /** How many alarms the queue still has to look at. */
  get size(): number {
    return this.#heap.length;
  }

  /** Rings `alarm` at `due`, instead of when it would have rung. */
  arm(alarm: Alarm, due: number): void {
    alarm.due = due;
    if (this.#seen > this.#lost) this.#start(this.#looks[0]!);
    const { slot } = alarm;
    if (slot < 0) this.#up(alarm, due, this.#heap.length);
    else if (due < this.#looks[slot]!) this.#up(alarm, due, slot);
    else return;
    if (due < this.#wake) this.#start(due);
  }

  /** Keeps `alarm` from ringing. It stays where it is, ready to be armed again. */
  disarm(alarm: Alarm): void {
    alarm.due = Infinity;
  }

  /** Forgets `alarm` altogether. */
  remove(alarm: Alarm): void {
    alarm.due = Infinity;
    const { slot } = alarm;
    if (slot < 0) return;
    alarm.slot = -1;
    const last = this.#heap.pop()!;
    const look = this.#looks.pop()!;
    if (last !== alarm) {
      this.#down(last, look, slot);
      this.#up(last, look, last.slot);
    }
    if (this.#heap.length === 0) this.#stop();
  }

  #run(): void {
    const now = this.#clock.now();
    this.lag = Math.max(0, now - this.#wake);
    // There may be another, when this is one that was given up.
    this.#stop();
    // While running, arming must not start timers: the loop below sees every alarm.
    this.#wake = -Infinity;
    try {
      this.#ringDue(now);
    } finally {
      // Also when an alarm throws: the others still have to ring.
      this.#wake = Infinity;
      if (this.#heap.length > 0) this.#start(this.#looks[0]!);
    }
  }

  #ringDue(now: number): void {
    while (this.#heap.length > 0 && this.#looks[0]! <= now) {
      const first = this.#heap[0]!;
      if (first.due <= now) {
        this.remove(first);
        first.ring();
      } else if (first.due === Infinity) {
        this.remove(first);
      } else {
        this.#down(first, first.due, 0);
      }
    }
  }

  #start(at: number): void {
    this.#stop();
    this.#wake = at;
    const now = this.#clock.now();
    this.#lost = Math.max(at, now) + patience;
    const delay = Math.ceil(at - now);
    this.#timer = this.#clock.start(this.#tick, Math.min(Math.max(delay, 1), longest));
  }

  #stop(): void {
    if (this.#timer === undefined) return;
    this.#clock.stop(this.#timer);
    this.#timer = undefined;
    this.#wake = this.#lost = Infinity;
  }

  #up(alarm: Alarm, look: number, slot: number): void {
    while (slot > 0) {
      const above = (slot - 1) >> 1;
      if (this.#looks[above]! <= look) break;
      this.#put(this.#heap[above]!, this.#looks[above]!, slot);
      slot = above;
    }
    this.#put(alarm, look, slot);
  }

  #down(alarm: Alarm, look: number, slot: number): void {
    const looks = this.#looks;
    for (;;) {
      let below = 2 * slot + 1;
      if (below >= looks.length) break;
      if (below + 1 < looks.length && looks[below + 1]! < looks[below]!) below++;
      if (look <= looks[below]!) break;
      this.#put(this.#heap[below]!, looks[below]!, slot);
      slot = below;
    }
    this.#put(alarm, look, slot);
  }

  #put(alarm: Alarm, look: number, slot: number): void {
    this.#heap[slot] = alarm;
    this.#looks[slot] = look;
    alarm.slot = slot;
  }
}

/** The queue that every connection and listener of the process shares. */
export const timers: TimerQueue = new TimerQueue({
  now,
  start(wake, ms) {
    const timer = nativeTimers().setTimeout(wake, ms);
    timer.unref();
    return timer;
  },
  stop: (timer) => nativeTimers().clearTimeout(timer),
});
