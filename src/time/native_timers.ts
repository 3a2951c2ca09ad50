/**
 * The runtime's timers and its monotonic clock, as they were before a test replaced them by fake ones:
 * a program whose time a test has stopped still has real peers.
 */

import { builtin } from "../kernel/system.ts";

export interface NativeTimer {
  ref(): unknown;
  unref(): unknown;
}

export interface NativeTimers {
  setTimeout(wake: () => void, ms: number): NativeTimer;
  clearTimeout(timer: unknown): void;
  setImmediate(wake: () => void): unknown;
  clearImmediate(immediate: unknown): void;
}

/** The longest delay of the runtimes' timers, ms. With a longer one they fire at once. */
export const longestDelay: number = 2 ** 31 - 1;

/** Waits, and keeps the process alive meanwhile. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void nativeTimers().setTimeout(resolve, ms));
}

const names = ["setTimeout", "clearTimeout", "setImmediate", "clearImmediate"] as const;

/** The globals at import. They are preferred to `node:timers`, which takes Deno 40 ms to load. */
const loaded: Partial<NativeTimers> = pick(globalThis as unknown as Partial<NativeTimers>);

let kept: NativeTimers | undefined;

/** The real timers. While every one that can be found is a fake, this returns the fakes. */
export function nativeTimers(): NativeTimers {
  if (kept !== undefined) return kept;
  if (isReal(loaded)) return kept = unmocked(loaded);
  const timers = pick(builtin<NativeTimers>("node:timers")!) as NativeTimers;
  if (isReal(timers)) return kept = unmocked(timers);
  return timers;
}

/**
 * Timers that go on under `mock.timers` of Deno's `node:test`, where even functions that were kept before
 * start fakes. Those have classes of their own. Can go when Deno's kept functions go on, as Node's do;
 * tests/contract/fake_timers_test.ts tests that.
 */
function unmocked(from: NativeTimers): NativeTimers {
  const { setTimeout, clearTimeout, setImmediate, clearImmediate } = from;
  const timeout = setTimeout(nothing, 1);
  clearTimeout(timeout);
  const timeouts = Object.getPrototypeOf(timeout);
  const immediates = Object.getPrototypeOf(setImmediate(nothing));
  return {
    setTimeout(wake, ms) {
      const timer = setTimeout(wake, ms);
      if (Object.getPrototypeOf(timer) === timeouts) return timer;
      clearTimeout(timer);
      return new Sleep(wake, ms);
    },
    clearTimeout(timer) {
      if (timer instanceof Sleep) timer.end();
      else clearTimeout(timer);
    },
    setImmediate(wake) {
      const immediate = setImmediate(wake);
      if (Object.getPrototypeOf(immediate) === immediates) return immediate;
      clearImmediate(immediate);
      return new Sleep(wake, 0);
    },
    clearImmediate,
  };
}

function pick(from: Partial<NativeTimers>): Partial<NativeTimers> {
  return Object.fromEntries(names.map((name) => [name, from[name]]));
}

/**
 * Whether these are the runtime's own: fakes are bound functions, have other names, or return objects of
 * another class. The global timers of older Deno do not qualify either, as they return plain numbers, which
 * have no `unref`.
 */
function isReal(timers: Partial<NativeTimers>): timers is NativeTimers {
  const { toString } = Function.prototype;
  for (const name of names) {
    const timer = timers[name];
    if (timer === undefined || !toString.call(timer).startsWith(`function ${name}(`)) return false;
  }
  const { setTimeout, clearTimeout } = timers as NativeTimers;
  const probe = setTimeout(() => {}, 1);
  clearTimeout(probe);
  return probe.constructor.name === "Timeout";
}

function nothing(): void {}

/** A timer without the runtime's timers. A port keeps the process alive, as a wait for memory does not. */
class Sleep implements NativeTimer {
  readonly #cell = new Int32Array(new SharedArrayBuffer(4));
  #port: MessagePort | undefined = undefined;

  constructor(wake: () => void, ms: number) {
    // A wait of 0 ms would be over at once, without a turn of the event loop.
    const { value } = Atomics.waitAsync(this.#cell, 0, 0, Math.max(ms, 0.1));
    Promise.resolve(value).then((outcome) => {
      this.unref();
      if (outcome === "timed-out") wake();
    });
    this.ref();
  }

  ref(): void {
    if (this.#port !== undefined) return;
    this.#port = new MessageChannel().port1;
    this.#port.onmessage = nothing;
  }

  unref(): void {
    this.#port?.close();
    this.#port = undefined;
  }

  end(): void {
    this.unref();
    Atomics.notify(this.#cell, 0);
  }
}

const { performance } = globalThis as { performance?: Performance };

/** The monotonic clock in ms. It is taken from the prototype, since fakes are set on the object. */
export const now: () => number = performance === undefined
  ? Date.now
  : (Object.getPrototypeOf(performance).now ?? performance.now).bind(performance);
