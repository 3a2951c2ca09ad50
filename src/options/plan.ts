/**
 * Socket options that a caller gave, checked, in the order in which to set them.
 *
 * @module
 */

import { type Row, type RowName, rows } from "./table.ts";
import type { SocketOptions } from "./types.ts";
import { type Setting, toKernelTime, type Value } from "./encode.ts";
import { keepAliveFor } from "./probing.ts";
import { fail, type Options, own } from "../check.ts";

/** Validated socket options. */
export interface SocketPlan {
  readonly settings: readonly Setting[];
  /** The keys that were given, to be read back. */
  readonly given: readonly (keyof SocketOptions)[];
  /** Idle, interval and count as keepalive counts them, when it is switched on with all three. */
  readonly tuning?: readonly [idle: number, interval: number, count: number] | undefined;
  /** In ms; `settings` has the part of it that keepalive does. */
  readonly deadPeerTimeout?: number | undefined;
}

const keepAliveKeys = ["idle", "interval", "count"] as const;
const names = Object.keys(rows) as RowName[];

/** Keys of `SocketOptions`. */
export const socketKeys: readonly string[] = [
  ...names.filter((name) => !name.includes(".") && rows[name].readOnly === undefined),
  "deadPeerTimeout",
];

const shortestDeadPeerTimeout = 2_000;

/**
 * Checks the socket options among `options`, whose other keys are the caller's business. `noDelay` is
 * what that one is when it was left out.
 */
export function socketPlan(options: Options, verb: string, noDelay?: boolean): SocketPlan {
  const values = new Map<RowName, Value>();
  const given: (keyof SocketOptions)[] = [];
  let deadPeerTimeout: number | undefined;
  for (const key of socketKeys as (keyof SocketOptions)[]) {
    let value = options[key];
    if (value === undefined && key === "noDelay") value = noDelay;
    if (value === undefined) continue;
    given.push(key);
    if (key === "keepAlive") checkKeepAlive(value, verb, values);
    else if (key === "deadPeerTimeout") deadPeerTimeout = checkDeadPeerTimeout(value, verb);
    else values.set(key, checkValue(rows[key], key, value, verb));
  }
  if (deadPeerTimeout !== undefined) {
    checkAlone(values, verb);
    const { idle, interval, count } = keepAliveFor(deadPeerTimeout);
    values.set("keepAlive.idle", idle).set("keepAlive.interval", interval)
      .set("keepAlive.count", count).set("keepAlive", true).set("userTimeout", null);
  }
  const settings: Setting[] = [];
  for (const name of names) {
    const value = values.get(name);
    if (value !== undefined) settings.push({ name, row: rows[name], value });
  }
  return { settings, given, tuning: tuning(values), deadPeerTimeout };
}

function tuning(values: Map<RowName, Value>): SocketPlan["tuning"] {
  const idle = values.get("keepAlive.idle");
  const interval = values.get("keepAlive.interval");
  const count = values.get("keepAlive.count");
  if (typeof idle !== "number" || typeof interval !== "number" || typeof count !== "number") {
    return undefined;
  }
  return [toKernelTime(idle, "s"), toKernelTime(interval, "s"), count];
}

function checkKeepAlive(value: unknown, verb: string, values: Map<RowName, Value>): void {
  if (typeof value === "boolean") {
    values.set("keepAlive", value);
    return;
  }
  if (typeof value !== "object" || value === null) {
    fail(TypeError, verb, "keepAlive", "must be a boolean or an object", value);
  }
  const options = own(value, keepAliveKeys, verb, "keepAlive");
  for (const key of keepAliveKeys) {
    const part = options[key];
    const name = `keepAlive.${key}` as const;
    if (part !== undefined) values.set(name, checkValue(rows[name], name, part, verb));
  }
  values.set("keepAlive", true);
}

function checkDeadPeerTimeout(value: unknown, verb: string): number {
  const expected = `must be a number of milliseconds, at least ${shortestDeadPeerTimeout}`;
  if (typeof value !== "number") fail(TypeError, verb, "deadPeerTimeout", expected, value);
  if (!(value >= shortestDeadPeerTimeout && value < Infinity)) {
    fail(RangeError, verb, "deadPeerTimeout", expected, value);
  }
  return value;
}

/** `deadPeerTimeout` is compiled to these, so both together would contradict each other. */
function checkAlone(values: Map<RowName, Value>, verb: string): void {
  for (const name of ["keepAlive", "userTimeout"] as const) {
    if (!values.has(name)) continue;
    throw new TypeError(`Cannot ${verb} as 'deadPeerTimeout' must not be given beside '${name}'`);
  }
}

/** Checks a value against its row. */
export function checkValue(row: Row, name: string, value: unknown, verb: string): Value {
  const { kind, min, max } = row;
  if (value === null && row.null !== undefined) return value;
  const or = row.null === undefined ? "" : " or null";
  switch (kind) {
    case "flag":
      if (typeof value !== "boolean") fail(TypeError, verb, name, "must be a boolean", value);
      return value;
    case "name": {
      const expected = `must be a string of ${min} to ${max} printable ASCII characters`;
      if (typeof value !== "string") fail(TypeError, verb, name, expected, value);
      if (!/^[!-~]+$/.test(value) || value.length > max) {
        fail(RangeError, verb, name, expected, value);
      }
      return value;
    }
    case "time":
    case "linger": {
      const enough = typeof value === "number" && (kind === "time" ? value > min : value >= min);
      if (enough && value <= max) return value;
      const from = kind === "time" ? `greater than ${min}` : `at least ${min}`;
      const expected = `must be a number of milliseconds ${from} and at most ${max}${or}`;
      return fail(typeof value === "number" ? RangeError : TypeError, verb, name, expected, value);
    }
    default: {
      if (Number.isInteger(value) && value as number >= min && value as number <= max) {
        return value as number;
      }
      const what = kind === "bytes" ? "number of bytes" : "integer";
      const expected = `must be ${what === "integer" ? "an" : "a"} ${what} from ${min} to ${max}`;
      fail(typeof value === "number" ? RangeError : TypeError, verb, name, expected, value);
    }
  }
}
