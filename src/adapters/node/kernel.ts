/**
 * System calls through `node:ffi`, or through koffi where Node has none.
 *
 * @module
 */

import type { KernelAccess } from "../../kernel/kernel.ts";
import {
  errnoFunction,
  kernelOf,
  type Libc,
  libraryNames,
  noLibrary,
  signatures,
} from "../../kernel/libc.ts";
import { builtin, host } from "../../kernel/system.ts";

/** What is used of `node:ffi`. */
interface NodeFFI {
  dlopen(file: string, symbols: Record<string, unknown>): { functions: Record<string, unknown> };
  getInt32(pointer: unknown, offset: number): number;
  getRawPointer(bytes: Uint8Array): bigint;
}

/** What is used of koffi, https://koffi.dev. */
interface Koffi {
  load(file: string): {
    func(name: string, result: string, parameters: string[]): (...args: never[]) => number;
  };
  errno(): number;
  address(bytes: Uint8Array): bigint;
}

/** What is used of `node:module`. */
interface NodeModule {
  createRequire(from: string): (name: string) => unknown;
}

let kept: KernelAccess | undefined;

/** The system calls, or why there are none. Loaded at the first call. */
export function loadKernel(): KernelAccess {
  if (kept !== undefined) return kept;
  const obstacle = noLibrary();
  if (obstacle !== undefined) return kept = { obstacle };
  const failures: unknown[] = [];
  for (const load of [loadNodeFFI, loadKoffi]) {
    for (const file of libraryNames()) {
      try {
        const libc = load(file);
        if (libc !== undefined) return kept = { kernel: kernelOf(libc) };
      } catch (cause) {
        failures.push(cause);
      }
    }
  }
  // Node's permission model, https://nodejs.org/api/permissions.html
  if (failures.some((cause) => (cause as { code?: string }).code === "ERR_ACCESS_DENIED")) {
    const reason = "the permission to call the system's C library is missing";
    const remedy = "needs --allow-ffi, or koffi and --allow-addons";
    return kept = { obstacle: { reason, remedy } };
  }
  const why = failures.length === 0 ? "" : ` (${(failures[0] as Error).message})`;
  const reason = `this Node.js has no usable node:ffi and koffi is not installed${why}`;
  const remedy = "install koffi, or use Node.js 26.1 or later";
  return kept = { obstacle: { reason, remedy } };
}

/** From Node 26.1; under `--permission` it needs `--allow-ffi`. Prints an ExperimentalWarning. */
function loadNodeFFI(file: string): Libc | undefined {
  const ffi = builtin<NodeFFI>("node:ffi");
  if (ffi === undefined) return undefined;
  const symbols: Record<string, unknown> = {
    [errnoFunction()]: { arguments: [], return: "pointer" },
  };
  for (const [name, parameters] of Object.entries(signatures)) {
    symbols[name] = { arguments: parameters, return: "i32" };
  }
  const { functions } = ffi.dlopen(file, symbols);
  const location = functions[errnoFunction()] as () => unknown;
  return {
    ...functions as unknown as Libc,
    errno: () => ffi.getInt32(location(), 0),
    addressOf: (bytes) => ffi.getRawPointer(bytes),
  };
}

const koffiTypes = { i32: "int32_t", u32: "uint32_t", i64: "int64_t", buffer: "void *" };

function loadKoffi(file: string): Libc | undefined {
  const koffi = requireKoffi();
  if (koffi === undefined) return undefined;
  const library = koffi.load(file);
  const functions: Record<string, unknown> = {
    errno: () => koffi.errno(),
    addressOf: (bytes: Uint8Array) => koffi.address(bytes),
  };
  for (const [name, parameters] of Object.entries(signatures)) {
    const types = parameters.map((type) => koffiTypes[type]);
    functions[name] = library.func(name, "int", types);
  }
  return functions as unknown as Libc;
}

function requireKoffi(): Koffi | undefined {
  const { createRequire } = builtin<NodeModule>("node:module")!;
  // Beside this package first; the program's own directory where a bundler moved this file.
  for (const from of [import.meta.url, `${host().cwd()}/`]) {
    try {
      return createRequire(from)("koffi") as Koffi;
    } catch {
      // Not there.
    }
  }
  return undefined;
}
