/** System calls through `Deno.dlopen`. */

import type { KernelAccess } from "../../kernel/kernel.ts";
import {
  declarations,
  errnoFunction,
  kernelThrough,
  type Libc,
  noLibrary,
  openLibrary,
} from "../../kernel/libc.ts";
import { deno, isGranted } from "./deno.ts";

let kept: KernelAccess | undefined;

/** Returns the system calls, or why there are none. Loads them once it may, and never prompts. */
export function loadKernel(): KernelAccess {
  if (kept !== undefined) return kept;
  if (!isGranted({ name: "ffi" }) && noLibrary() === undefined) {
    // This result is not kept, as the permission may be granted later.
    const reason = "the permission to call the system's C library is missing";
    return { obstacle: { reason, remedy: "needs --allow-ffi" } };
  }
  return kept = kernelThrough(load);
}

function load(): Libc {
  const { dlopen, UnsafePointer, UnsafePointerView } = deno();
  const symbols = declarations((parameters, result) => ({ parameters, result }));
  return openLibrary((file) => {
    const libc = dlopen(file, symbols).symbols;
    const location = libc[errnoFunction()] as () => unknown;
    const errno = () => new UnsafePointerView(location()).getInt32();
    const addressOf = (bytes: Uint8Array) => UnsafePointer.value(UnsafePointer.of(bytes));
    return { ...libc as unknown as Libc, errno, addressOf };
  });
}
