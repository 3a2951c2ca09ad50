/**
 * An errno as the kind of error that the runtimes throw.
 *
 * @module
 */

import { errnoName } from "./errno.ts";

/** Carries what Node's errors carry. */
export interface SystemError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;
}

/** The error for a system call that answered `-errno`; `result` is that negative number. */
export function systemError(result: number, syscall: string): SystemError {
  const code = errnoName(-result);
  return Object.assign(new Error(`${syscall} ${code}`), { code, errno: result, syscall });
}
