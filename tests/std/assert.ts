/**
 * Replaces `@std/assert` where JSR cannot be reached, and on Bun and Node, which cannot load from JSR. It has
 * the functions that the tests use, with the same names and meaning.
 */

import nodeAssert, { AssertionError } from "node:assert/strict";
import { inspect } from "node:util";

// deno-lint-ignore no-explicit-any -- a constructor's arguments are nobody's business here
type Class<T> = abstract new (...args: any[]) => T;

export function assert(value: unknown, message = ""): asserts value {
  if (!value) raise(message || `Expected a truthy value, but got ${inspect(value)}`);
}

export function assertFalse(value: unknown, message = ""): asserts value is false {
  if (value) raise(message || `Expected a falsy value, but got ${inspect(value)}`);
}

export function assertEquals<T>(actual: T, expected: T, message?: string): void {
  nodeAssert.deepStrictEqual(actual, expected, ...given(message));
}

export function assertNotEquals<T>(actual: T, expected: T, message?: string): void {
  nodeAssert.notDeepStrictEqual(actual, expected, ...given(message));
}

export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  message?: string,
): asserts actual is T {
  nodeAssert.strictEqual(actual, expected, ...given(message));
}

export function assertGreater<T>(actual: T, expected: T, message?: string): void {
  compare(actual > expected, actual, ">", expected, message);
}

export function assertGreaterOrEqual<T>(actual: T, expected: T, message?: string): void {
  compare(actual >= expected, actual, ">=", expected, message);
}

export function assertLess<T>(actual: T, expected: T, message?: string): void {
  compare(actual < expected, actual, "<", expected, message);
}

export function assertLessOrEqual<T>(actual: T, expected: T, message?: string): void {
  compare(actual <= expected, actual, "<=", expected, message);
}

export function assertMatch(actual: string, expected: RegExp, message?: string): void {
  if (!expected.test(actual)) raise(message ?? `Expected "${actual}" to match ${expected}`);
}

export function assertStringIncludes(actual: string, expected: string, message?: string): void {
  if (!actual.includes(expected)) {
    raise(message ?? `Expected "${actual}" to contain "${expected}"`);
  }
}

export function assertInstanceOf<T>(
  actual: unknown,
  expected: Class<T>,
  message?: string,
): asserts actual is T {
  if (!(actual instanceof expected)) {
    raise(message ?? `Expected an instance of ${expected.name}, but got ${inspect(actual)}`);
  }
}

export function fail(message?: string): never {
  raise(message === undefined ? "Failed assertion." : `Failed assertion: ${message}`);
}

export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  errorClass: Class<E> = Error as unknown as Class<E>,
  includes?: string,
  message?: string,
): E {
  try {
    fn();
  } catch (error) {
    return checkError(error, errorClass, includes, message);
  }
  raise(message ?? "Expected function to throw.");
}

/** Unlike `assert.rejects`, this fails if the function throws instead of returning a promise. */
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  errorClass: Class<E> = Error as unknown as Class<E>,
  includes?: string,
  message?: string,
): Promise<E> {
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    raise(message ?? "Function throws when expected to reject.", error);
  }
  try {
    await promise;
  } catch (error) {
    return checkError(error, errorClass, includes, message);
  }
  raise(message ?? "Expected function to reject.");
}

/** Node 26 refuses a message that is `undefined`. */
function given(message: string | undefined): [] | [string] {
  return message === undefined ? [] : [message];
}

function checkError<E extends Error>(
  error: unknown,
  errorClass: Class<E>,
  includes: string | undefined,
  message: string | undefined,
): E {
  assertInstanceOf(error, errorClass, message);
  if (includes !== undefined) assertStringIncludes(error.message, includes, message);
  return error;
}

function compare(
  holds: boolean,
  actual: unknown,
  operator: string,
  expected: unknown,
  message: string | undefined,
): void {
  if (!holds) raise(message ?? `Expected ${inspect(actual)} ${operator} ${inspect(expected)}`);
}

function raise(message: string, cause?: unknown): never {
  const error = new AssertionError({ message });
  if (cause !== undefined) error.cause = cause;
  throw error;
}
