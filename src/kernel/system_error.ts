/**
 * Names of the running system's error numbers, and errors like those of the runtimes made of them.
 */

import { builtin, knownSystem } from "./system.ts";

/** Routers report these two (ICMP "host unknown" and "host isolated"), and `os.constants` lacks them. */
const reported: readonly [number, string][] = knownSystem() === "linux"
  ? [[112, "EHOSTDOWN"], [64, "ENONET"]]
  : [[64, "EHOSTDOWN"]];

let names: Map<number, string> | undefined;

/** The POSIX name of an error number, such as `"EBADF"`. */
export function errnoName(errno: number): string {
  names ??= new Map([
    ...reported,
    ...Object.entries(builtin("node:os").constants.errno)
      // It is a second name of EAGAIN.
      .filter(([name]) => name !== "EWOULDBLOCK")
      .map(([name, number]) => [number, name] as const),
  ]);
  return names.get(errno) ?? "EIO";
}

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

/**
 * Why a socket cannot be used, or what the kernel refused. It does not know for which call: the
 * `SocketError` that callers see is made of it where the call and the address are known.
 */
export class Refusal extends Error {
  readonly code: string;

  /** `detail` is said in place of what `code` means. */
  constructor(code: string, detail?: string, cause?: unknown) {
    super(detail, { cause });
    this.code = code;
  }
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
