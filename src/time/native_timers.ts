/**
 * `node:timers`, which all three runtimes have: its timers can be unref'd the same way, and it is not the
 * global ones, which tests replace.
 *
 * @module
 */

import { builtin } from "../kernel/system.ts";

/** A timer that runs. */
export interface NativeTimer {
  ref(): unknown;
  unref(): unknown;
}

/** What is used of `node:timers`. */
export interface NativeTimers {
  setTimeout(wake: () => void, ms: number): NativeTimer;
  clearTimeout(timer: unknown): void;
  setInterval(wake: () => void, ms: number): NativeTimer;
  clearInterval(timer: unknown): void;
  setImmediate(wake: () => void): unknown;
}

let kept: NativeTimers | undefined;

/** The module, loaded at the first call. */
export function nativeTimers(): NativeTimers {
  return kept ??= builtin<NativeTimers>("node:timers")!;
}
