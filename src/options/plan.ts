/** Checks socket options, and brings them into the order in which they have to be set. */

import { type Row, type RowName, rows } from "./table.ts";
import type { KeepAliveOptions, SocketOptions } from "./types.ts";
import type { Value } from "./encode.ts";
import { keepAliveFor } from "./probing.ts";
import { checkFlag, checkInteger, checkNumber, copyOptions, fail, type Options } from "../check.ts";

/** Keepalive: whether it is on, and those of its values that were given, times in ms. */
export interface KeepAlive {
  readonly on: boolean;
  readonly idle?: number | undefined;
  readonly interval?: number | undefined;
  readonly count?: number | undefined;
}

/** One validated option. */
export type PlannedOption =
  | { readonly name: "keepAlive"; readonly value: KeepAlive }
  | { readonly name: Exclude<RowName, "keepAlive">; readonly value: Value };

/** Validated socket options. */
export interface SocketPlan {
  readonly entries: readonly PlannedOption[];
  /** The keys that were given, so that `setOptions` can read them back. */
  readonly given: readonly (keyof SocketOptions)[];
  /** In ms. The keepalive values that it needs are among `entries`. */
  readonly deadPeerTimeout?: number | undefined;
}

const keepAliveKeys: readonly string[] = ["idle", "interval", "count"];

/** Keys of `SocketOptions`, in the order in which they are set. */
export const socketKeys: readonly (keyof SocketOptions)[] = [
  ...(Object.keys(rows) as (RowName & keyof SocketOptions)[])
    .filter((name) => !name.includes(".") && rows[name].readOnly === undefined),
  "deadPeerTimeout",
];

const shortestDeadPeerTimeout = 2_000;

/**
 * Checks the socket options among `options`; other keys are ignored. `shortest` is the least that
 * `deadPeerTimeout` may be.
 */
export function socketPlan(
  options: Options,
  verb: string,
  shortest: number = shortestDeadPeerTimeout,
): SocketPlan {
  const entries: PlannedOption[] = [];
  const given = socketKeys.filter((key) => options[key] !== undefined);
  let deadPeerTimeout: number | undefined;
  for (const key of given) {
    const value = options[key];
    if (key === "deadPeerTimeout") {
      const expected = `must be a number of milliseconds, at least ${shortest}`;
      deadPeerTimeout = checkNumber(value, key, shortest, Number.MAX_VALUE, verb, expected);
    } else if (key === "keepAlive") entries.push(keepAliveOption(value, verb));
    else entries.push({ name: key, value: checkValue(rows[key], key, value, verb) });
  }
  if (deadPeerTimeout !== undefined) {
    checkAlone(given, verb);
    entries.push(
      { name: "keepAlive", value: { on: true, ...keepAliveFor(deadPeerTimeout) } },
      { name: "userTimeout", value: null },
    );
  }
  return { entries, given, deadPeerTimeout };
}

/** Checks the value of `keepAlive`. */
export function keepAliveOption(
  value: unknown,
  verb: string,
): PlannedOption & { name: "keepAlive" } {
  if (typeof value === "boolean") return { name: "keepAlive", value: { on: value } };
  if (typeof value !== "object" || value === null) {
    fail(TypeError, verb, "keepAlive", "must be a boolean or an object", value);
  }
  const { idle, interval, count } = copyOptions(value, keepAliveKeys, verb, "keepAlive");
  const check = (name: `keepAlive.${keyof KeepAliveOptions}`, part: unknown) =>
    part === undefined ? part : checkValue(rows[name], name, part, verb) as number;
  return {
    name: "keepAlive",
    value: {
      on: true,
      idle: check("keepAlive.idle", idle),
      interval: check("keepAlive.interval", interval),
      count: check("keepAlive.count", count),
    },
  };
}

/** Refuses options that would contradict `deadPeerTimeout`, which sets them itself. */
function checkAlone(given: readonly string[], verb: string): void {
  for (const name of ["keepAlive", "userTimeout"]) {
    if (!given.includes(name)) continue;
    throw new TypeError(`Cannot ${verb} as 'deadPeerTimeout' must not be given beside '${name}'`);
  }
}

function checkValue(row: Row, name: string, value: unknown, verb: string): Value {
  const { kind, min, max } = row;
  if (value === null && row.null !== undefined) return value;
  switch (kind) {
    case "flag":
      return checkFlag(value, name, verb);
    case "name": {
      const expected = `must be a string of ${min} to ${max} printable ASCII characters`;
      if (typeof value !== "string") fail(TypeError, verb, name, expected, value);
      if (!/^[!-~]+$/.test(value) || value.length > max) {
        fail(RangeError, verb, name, expected, value);
      }
      return value;
    }
    case "linger":
    case "time": {
      // Programs set keepalive often, so the message is not made in vain.
      if (typeof value === "number" && value >= min && value <= max) return value;
      const or = row.null === undefined ? "" : " or null";
      const expected = `must be a number of milliseconds from ${min} to ${max}${or}`;
      return checkNumber(value, name, min, max, verb, expected);
    }
    case "bytes":
      return checkInteger(value, name, min, max, verb, "a number of bytes");
    default:
      return checkInteger(value, name, min, max, verb);
  }
}
