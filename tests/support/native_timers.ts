/** Counts the native timers that the library starts. */

import { nativeTimers } from "../../src/time/native_timers.ts";

export interface NativeTimers {
  /** How many timers neither fired nor were stopped. */
  running: Set<unknown>;
  /** How many ran at the same time at most. */
  most: number;
  /** Ends the count. */
  restore(): void;
}

/** Starts to count in this process. */
export function countNativeTimers(): NativeTimers {
  const module = nativeTimers();
  const { setTimeout, clearTimeout } = module;
  const count: NativeTimers = {
    running: new Set(),
    most: 0,
    restore: () => void Object.assign(module, { setTimeout, clearTimeout }),
  };
  module.setTimeout = (wake, ms) => {
    const timer = setTimeout(() => {
      count.running.delete(timer);
      wake();
    }, ms);
    count.running.add(timer);
    count.most = Math.max(count.most, count.running.size);
    return timer;
  };
  module.clearTimeout = (timer) => {
    count.running.delete(timer);
    clearTimeout(timer);
  };
  return count;
}
