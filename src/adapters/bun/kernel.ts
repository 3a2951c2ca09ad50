/** System calls through `bun:ffi`. */

import type { KernelAccess } from "../../kernel/kernel.ts";
import {
  declarations,
  errnoFunction,
  kernelThrough,
  type Libc,
  openLibrary,
} from "../../kernel/libc.ts";
import { builtin } from "../../kernel/system.ts";

/** The part of `bun:ffi` that is used. */
interface BunFFI {
  dlopen(file: string, symbols: Record<string, unknown>): { symbols: Record<string, unknown> };
  ptr(bytes: Uint8Array): number;
  read: { i32(pointer: unknown): number };
}

let kept: KernelAccess | undefined;

/** Returns the system calls, or why there are none. Loads them at the first call. */
export function loadKernel(): KernelAccess {
  return kept ??= kernelThrough(load);
}

function load(): Libc {
  const ffi = builtin<BunFFI>("bun:ffi")!;
  const symbols = declarations((parameters, result) => ({
    args: parameters.map((type) => type === "buffer" ? "ptr" : type),
    returns: result === "pointer" ? "ptr" : result,
  }));
  return openLibrary((file) => {
    const libc = ffi.dlopen(file, symbols).symbols;
    const location = libc[errnoFunction()] as () => unknown;
    const errno = () => ffi.read.i32(location());
    return { ...libc as unknown as Libc, errno, addressOf: ffi.ptr };
  });
}
