/**
 * Makes an error like those of the runtimes out of an errno.
 *
 * @module
 */

import { errnoName } from "./errno.ts";

/** An error with the properties of Node's system errors. */
export interface SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
}

/** An error with a code, like those of the runtimes. */
export function coded(code: string, message: string): Error & { readonly code: string } {
  return Object.assign(new Error(message), { code });
}

/** The result of a system call. @throws {SystemError} It is `-errno`. */
export function succeed(result: number, syscall: string): number {
  if (result < 0) throw systemError(result, syscall);
  return result;
}

/** The error for a system call that returned `-errno`; `result` is that negative number. */
export function systemError(result: number, syscall: string): SystemError {
  const code = errnoName(-result);
  return Object.assign(new Error(`${syscall} ${code}`), { code, errno: result, syscall });
}
