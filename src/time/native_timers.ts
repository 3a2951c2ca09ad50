/**
 * The runtime's timers and its monotonic clock, as they are before a test replaces them: a program whose
 * time is stopped has real peers all the same.
 *
 * @module
 */

import { builtin } from "../kernel/system.ts";

/** A timer that runs. */
export interface NativeTimer {
  ref(): unknown;
  unref(): unknown;
}

/** What is used of the runtime's timers. */
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

/** Those of the module's first moment; `node:timers` would take Deno 40 ms to load. */
const loaded: Partial<NativeTimers> = pick(globalThis as unknown as Partial<NativeTimers>);

let kept: NativeTimers | undefined;

/** The real timers. When all there are have been replaced, these, until the real ones are back. */
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

/** Replacements are bound or nameless functions. Also, older Deno's global timers are bare numbers. */
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

/** Monotonic, ms. The prototype's, where there is one: replacements stand on the object. */
export const now: () => number = performance === undefined
  ? Date.now
  : (Object.getPrototypeOf(performance).now ?? performance.now).bind(performance);
