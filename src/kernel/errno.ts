/**
 * Names of the running system's error numbers.
 *
 * @module
 */

import { builtin, knownSystem } from "./system.ts";

interface NodeOs {
  constants: { errno: Record<string, number> };
}

/** Routers report these two (ICMP "host unknown" and "host isolated"), and `os.constants` lacks them. */
const reported: readonly [number, string][] = knownSystem() === "linux"
  ? [[112, "EHOSTDOWN"], [64, "ENONET"]]
  : [[64, "EHOSTDOWN"]];

let names: Map<number, string> | undefined;

/** The POSIX name of an error number, such as `"EBADF"`. */
export function errnoName(errno: number): string {
  names ??= new Map([
    ...reported,
    ...Object.entries(builtin<NodeOs>("node:os")!.constants.errno)
      // It is a second name of EAGAIN.
      .filter(([name]) => name !== "EWOULDBLOCK")
      .map(([name, number]) => [number, name] as const),
  ]);
  return names.get(errno) ?? "EIO";
}
