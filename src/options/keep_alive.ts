/**
 * Keepalive with all of its values by the runtime's own setter, without a plan: programs that retune
 * pooled connections do this often.
 *
 * @module
 */

import type { Handle } from "../adapter.ts";
import type { KeepAliveOptions } from "./types.ts";
import { rows } from "./table.ts";
import { toKernelTime } from "./encode.ts";

const limits = {
  idle: rows["keepAlive.idle"],
  interval: rows["keepAlive.interval"],
  count: rows["keepAlive.count"],
};

/**
 * Sets `keepAlive` and answers `true`, or answers `false` without having done anything: then the
 * long way sets it, or says what is wrong with it.
 */
export function tuned(handle: Handle, keepAlive: KeepAliveOptions): boolean {
  if (handle.tuneKeepAlive === undefined) return false;
  for (const key in keepAlive) if (!Object.hasOwn(limits, key)) return false;
  const { idle, interval, count } = keepAlive;
  if (!isTime(idle, limits.idle) || !isTime(interval, limits.interval)) return false;
  const { min, max } = limits.count;
  if (!Number.isInteger(count) || count! < min || count! > max) return false;
  handle.tuneKeepAlive(toKernelTime(idle, "s"), toKernelTime(interval, "s"), count!);
  return true;
}

function isTime(ms: unknown, { min, max }: { min: number; max: number }): ms is number {
  return typeof ms === "number" && ms > min && ms <= max;
}
