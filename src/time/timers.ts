/**
 * Runs all timeouts of the process on one native timer.
 *
 * Most timeouts never fire, since the call ends first. So ending a call only marks its alarm, and arming
 * the alarm again for a later time only writes that time. The heap changes only when an alarm is new,
 * when it has to ring earlier than the queue would look at it, and when the queue looks at it.
 */

import { longestDelay, nativeTimers, now } from "./native_timers.ts";

/** Where time comes from. Unit tests use a clock of their own. */
export interface Clock {
  now(): number;
  /** Runs `wake` after `ms` (1 to 2^31 - 1), without keeping the process alive. */
  start(wake: () => void, ms: number): unknown;
  stop(timer: unknown): void;
}

/** Something to do at a point in time. It rings at most once each time it is armed. */
export abstract class Alarm {
  /** When to ring; `Infinity` while disarmed. */
  due: number = Infinity;
  /** Place in the heap, -1 while not in it. */
  slot: number = -1;

  /** Called at `due` or later, when the alarm is disarmed already. Must not throw. */
  abstract ring(): void;

  /** Called when the process ends while this is in the heap. Must neither throw nor arm an alarm. */
  exit?(): void;
}

/**
 * A native timer that is this late, ms, is replaced by a new one: it may have been a fake timer of a
 * test, which never fires.
 */
const patience = 1_000;

/**
 * A call without a limit looks this often whether its signal has aborted, ms: another listener may have
 * stopped the event.
 */
export const abortCheck = 1_000;

/** A binary heap of alarms, for which one native timer runs. */
export class TimerQueue {
  /** How late the native timer fired last, in ms. */
  lag = 0;
  readonly #clock: Clock;
  readonly #heap: Alarm[] = [];
  /** When to look at each alarm of the heap: at its `due` or earlier. */
  readonly #looks: number[] = [];
  readonly #tick: () => void = () => this.#run();
  #timer: unknown = undefined;
  /** When the native timer fires; `Infinity` while there is none. */
  #wake = Infinity;
  /** When the native timer counts as lost. */
  #lost = Infinity;
  /** The time that the clock showed last, so that `arm` need not ask it. */
  #seen = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How late the native timer was while its alarms ring, in ms; 0 at any other time. */
  get late(): number {
    return this.#wake === -Infinity ? this.lag : 0;
  }

  /** The time on the clock by which alarms are armed. */
  now(): number {
    return this.#seen = this.#clock.now();
  }

  /** How many alarms are in the heap, disarmed ones included. */
  get size(): number {
    return this.#heap.length;
  }

  /** Makes `alarm` ring at `due`, and no longer at the time for which it was armed before. */
  arm(alarm: Alarm, due: number): void {
    alarm.due = due;
    if (this.#seen > this.#lost) this.#start(this.#looks[0]!);
    const { slot } = alarm;
    if (slot < 0) this.#up(alarm, due, this.#heap.length);
    else if (due < this.#looks[slot]!) this.#up(alarm, due, slot);
    else return;
    if (due < this.#wake) this.#start(due);
  }

  /** Keeps `alarm` from ringing, but leaves it in the heap, where arming it again costs less. */
  disarm(alarm: Alarm): void {
    alarm.due = Infinity;
  }

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

  exit(): void {
    for (const alarm of this.#heap) alarm.exit?.();
  }

  #run(): void {
    const now = this.#clock.now();
    this.lag = Math.max(0, now - this.#wake);
    // This may be a timer that counted as lost, and then another one runs.
    this.#stop();
    // Arming must start no timer while alarms ring, since the loop in `ringDue` sees every alarm.
    this.#wake = -Infinity;
    try {
      this.#ringDue(now);
    } finally {
      // The others still have to ring when an alarm throws.
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
    this.#timer = this.#clock.start(this.#tick, Math.min(Math.max(delay, 1), longestDelay));
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
