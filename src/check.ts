/** What every check of options needs: the error's message, and a copy of what the caller gave. */

import { suggest } from "./suggest.ts";

/** A caller's options, with any keys and values. */
export type Options = Readonly<Record<string, unknown>>;

/** Throws an error such as "Cannot connect as 'timeout' must be ...: current value is -1". */
export function fail(
  Class: typeof TypeError | typeof RangeError,
  verb: string,
  name: string,
  expected: string,
  value: unknown,
): never {
  throw new Class(`Cannot ${verb} as '${name}' ${expected}: current value is ${describe(value)}`);
}

/** Describes a value for an error message, in few letters and without calling any code of it. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case "string":
      return value.length > 40 ? `${JSON.stringify(value.slice(0, 40))}...` : JSON.stringify(value);
    case "bigint":
      return `${value}n`;
    case "symbol":
    case "number":
    case "boolean":
    case "undefined":
      return String(value);
    case "function":
      return "a function";
    default:
      return typeof value === "object" && value !== null ? describeObject(value) : "null";
  }
}

function describeObject(value: object): string {
  try {
    if (Array.isArray(value)) return "an array";
    return value instanceof Promise ? "a promise, await it" : "an object";
  } catch {
    // A proxy may throw at every access.
    return "an object";
  }
}

/**
 * Makes sure that options are a plain object. Anything else, such as an AbortSignal, was meant to be one
 * of them, and would be taken for none.
 */
export function checkPlain(options: unknown, verb: string, name: string = "options"): object {
  if (typeof options === "object" && options !== null) {
    const prototype = Object.getPrototypeOf(options);
    if (prototype === Object.prototype || prototype === null) return options;
    // Of another realm.
    const isRoot = Object.getPrototypeOf(prototype) === null;
    if (isRoot && Object.hasOwn(prototype, "hasOwnProperty")) return options;
  }
  const plain = typeof options === "object" && options !== null && !Array.isArray(options);
  const signal = plain && options instanceof AbortSignal && name === "options";
  const expected = `must be ${plain ? "a plain" : "an"} object${
    signal ? " (pass { signal })" : ""
  }`;
  return fail(TypeError, verb, name, expected, options);
}

/**
 * Copies a caller's options, so that getters run once and later changes have no effect.
 *
 * @throws {TypeError} `options` is not a plain object, or a key is not among `keys`.
 */
export function copyOptions(
  options: unknown,
  keys: readonly string[],
  verb: string,
  within?: string,
): Record<string, unknown> {
  const given = checkPlain(options, verb, within);
  const copy: Record<string, unknown> = { ...given };
  for (const key of Object.keys(copy)) {
    if (keys.includes(key)) continue;
    const full = within === undefined ? key : `${within}.${key}`;
    const meant = suggest(key, keys, within);
    const list = meant === undefined ? "the options" : `did you mean '${meant}'? The options`;
    throw new TypeError(
      `Cannot ${verb} as '${full}' is not an option: ${list} are ${keys.join(", ")}`,
    );
  }
  return copy;
}

/** Checks a number. Both limits are in the range that `expected` describes. */
export function checkNumber(
  value: unknown,
  name: string,
  min: number,
  max: number,
  verb: string,
  expected: string,
): number {
  if (typeof value !== "number") fail(TypeError, verb, name, expected, value);
  if (!(value >= min && value <= max)) fail(RangeError, verb, name, expected, value);
  return value;
}

/** Checks a positive time in ms, of any length but `Infinity`. */
export function checkTime(
  value: unknown,
  name: string,
  verb: string,
  expected: string = "must be a positive number of milliseconds",
): number {
  return checkNumber(value, name, Number.MIN_VALUE, Number.MAX_VALUE, verb, expected);
}

/** Checks an integer. `what` names it in the error's message. */
export function checkInteger(
  value: unknown,
  name: string,
  min: number,
  max: number,
  verb: string,
  what: string = "an integer",
): number {
  if (Number.isInteger(value) && value as number >= min && value as number <= max) {
    // The kernel's calls do not take -0.
    return value as number + 0;
  }
  const Class = typeof value === "number" ? RangeError : TypeError;
  fail(Class, verb, name, `must be ${what} from ${min} to ${max}`, value);
}

export function checkFlag(value: unknown, name: string, verb: string): boolean {
  if (typeof value !== "boolean") fail(TypeError, verb, name, "must be a boolean", value);
  return value;
}

/** Whether `text` may be a host name: none contains these characters, but a URL or a line of a log may. */
export function mayBeHostname(text: string): boolean {
  return text !== "" && !/[\s\0/[\]]/.test(text);
}
