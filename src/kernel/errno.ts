/**
 * Names of the running system's error numbers.
 *
 * @module
 */

import { builtin } from "./system.ts";

interface NodeOs {
  constants: { errno: Record<string, number> };
}

let names: Map<number, string> | undefined;

/** The POSIX name of an error number, such as `"EBADF"`. */
export function errnoName(errno: number): string {
  names ??= new Map(
    Object.entries(builtin<NodeOs>("node:os")!.constants.errno)
      // It is a second name of EAGAIN.
      .filter(([name]) => name !== "EWOULDBLOCK")
      .map(([name, number]) => [number, name]),
  );
  return names.get(errno) ?? "EIO";
}
