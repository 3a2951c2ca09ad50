/**
 * The runtime's timers and its monotonic clock, as they were before a test replaced them by fake ones:
 * a program whose time a test has stopped still has real peers.
 *
 * @module
 */

import { builtin } from "../kernel/system.ts";

/** A timer of the runtime's. */
export interface NativeTimer {
  ref(): unknown;
  unref(): unknown;
}

/** The functions for timers that are used here. */
export interface NativeTimers {
  setTimeout(wake: () => void, ms: number): NativeTimer;
  clearTimeout(timer: unknown): void;
  setInterval(wake: () => void, ms: number): NativeTimer;
  clearInterval(timer: unknown): void;
  setImmediate(wake: () => void): unknown;
}

const names = [
  "setTimeout",
  "clearTimeout",
  "setInterval",
  "clearInterval",
  "setImmediate",
] as const;

/** The globals at import. They are preferred to `node:timers`, which takes Deno 40 ms to load. */
const loaded: Partial<NativeTimers> = pick(globalThis as unknown as Partial<NativeTimers>);

let kept: NativeTimers | undefined;

/** The real timers. While every one that can be found is a fake, this returns the fakes. */
export function nativeTimers(): NativeTimers {
  if (kept !== undefined) return kept;
  if (isReal(loaded)) return kept = loaded;
  const timers = pick(builtin<NativeTimers>("node:timers")!) as NativeTimers;
  if (isReal(timers)) kept = timers;
  return timers;
}

function pick(from: Partial<NativeTimers>): Partial<NativeTimers> {
  return Object.fromEntries(names.map((name) => [name, from[name]]));
}

/**
 * Whether these are the runtime's own: fakes are bound functions or have other names. The global timers
 * of older Deno do not qualify either, as they return plain numbers, which have no `unref`.
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
  return typeof probe === "object";
}

const { performance } = globalThis as { performance?: Performance };

/** The monotonic clock in ms. It is taken from the prototype, since fakes are set on the object. */
export const now: () => number = performance === undefined
  ? Date.now
  : (Object.getPrototypeOf(performance).now ?? performance.now).bind(performance);
