/**
 * System calls through `Deno.dlopen`.
 *
 * @module
 */

import type { Kernel, NoKernel } from "../../adapter.ts";
import {
  errnoFunction,
  kernelOf,
  type Libc,
  libraryNames,
  noLibrary,
  signatures,
} from "../../os/libc.ts";

/** What is used of Deno's FFI. */
interface DenoFFI {
  dlopen(file: string, symbols: Record<string, unknown>): { symbols: Record<string, unknown> };
  permissions: { querySync(descriptor: { name: "ffi" }): { state: string } };
  UnsafePointerView: new (pointer: unknown) => { getInt32(): number };
}

let kept: Kernel | NoKernel | undefined;

/** The system calls, or why there are none. Loaded at the first call that may; never prompts. */
export function kernel(): Kernel | NoKernel {
  if (kept !== undefined) return kept;
  const none = noLibrary();
  if (none !== undefined) return kept = none;
  const { Deno } = globalThis as unknown as { Deno: DenoFFI };
  // Not kept: the permission may be granted later.
  if (Deno.permissions.querySync({ name: "ffi" }).state !== "granted") {
    return {
      reason: "the permission to call the system's C library is missing",
      remedy: "needs --allow-ffi",
    };
  }
  try {
    return kept = kernelOf(load(Deno));
  } catch (cause) {
    return kept = { reason: `the C library cannot be loaded: ${cause}`, remedy: "" };
  }
}

function load(Deno: DenoFFI): Libc {
  const symbols: Record<string, unknown> = {
    [errnoFunction()]: { parameters: [], result: "pointer" },
  };
  for (const [name, parameters] of Object.entries(signatures)) {
    symbols[name] = { parameters, result: "i32" };
  }
  let failure: unknown;
  for (const file of libraryNames()) {
    try {
      const libc = Deno.dlopen(file, symbols).symbols;
      const location = libc[errnoFunction()] as () => unknown;
      return {
        ...libc as unknown as Libc,
        errno: () => new Deno.UnsafePointerView(location()).getInt32(),
      };
    } catch (cause) {
      failure ??= cause;
    }
  }
  throw failure;
}
