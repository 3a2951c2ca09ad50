/** System calls through koffi, where it is installed, or `node:ffi`. */

import type { Kernel, KernelAccess } from "../../kernel/kernel.ts";
import type { Obstacle } from "../../kernel/obstacle.ts";
import {
  declarations,
  errnoFunction,
  kernelOf,
  type Libc,
  noLibrary,
  openLibrary,
} from "../../kernel/libc.ts";
import { builtin } from "../../kernel/system.ts";
import { loadKoffi } from "./koffi.ts";

/** The part of `node:ffi` that is used. */
interface NodeFFI {
  dlopen(file: string, symbols: Record<string, unknown>): { functions: Record<string, unknown> };
  getInt32(pointer: unknown, offset: number): number;
  getRawPointer(bytes: Uint8Array): bigint;
}

let kept: KernelAccess | undefined;
/** The errors of koffi and `node:ffi`; `undefined` until koffi has been tried. */
let failures: Error[] | undefined;

const tooLoud: Obstacle = {
  reason: "loading node:ffi would print a warning",
  remedy: "install koffi, or call capabilities() once when the program starts",
};

/**
 * Returns the system calls, or why there are none. Loads them at the first call. koffi is preferred where
 * it is installed, since `node:ffi` prints a warning. A `quiet` call does not load `node:ffi`.
 */
export function loadKernel(quiet: boolean = false): KernelAccess {
  if (kept !== undefined) return kept;
  const none = noLibrary();
  if (none !== undefined) return kept = { obstacle: none };
  let kernel: Kernel | undefined;
  if (failures === undefined) {
    failures = [];
    kernel = open(loadKoffi, failures);
  }
  const { isBuiltin } = builtin("node:module");
  if (kernel === undefined && quiet && isBuiltin("node:ffi")) return { obstacle: tooLoud };
  kernel ??= open(loadNodeFFI, failures);
  return kept = kernel === undefined ? { obstacle: obstacle(failures) } : { kernel };
}

/** Makes the system calls with the first library that loads. */
function open(load: (file: string) => Libc | undefined, failures: Error[]): Kernel | undefined {
  try {
    const libc = openLibrary(load);
    return libc && kernelOf(libc);
  } catch (cause) {
    failures.push(cause as Error);
    return undefined;
  }
}

function obstacle(failures: Error[]): Obstacle {
  // Node's permission model, https://nodejs.org/api/permissions.html
  if (failures.some((cause) => (cause as { code?: string }).code === "ERR_ACCESS_DENIED")) {
    return {
      reason: "the permission to call the system's C library is missing",
      remedy: "needs --allow-ffi, or koffi and --allow-addons",
    };
  }
  const [failure] = failures;
  return failure === undefined
    ? {
      reason: "this Node.js has no node:ffi and koffi is not installed",
      remedy: "install koffi, or use Node.js 26.1 or later",
    }
    : {
      reason: `the system's C library cannot be loaded: ${failure.message.split("\n", 1)[0]}`,
      remedy: "install koffi anew, or use Node.js 26.1 or later",
    };
}

/** Exists from Node 26.1 on, and prints an ExperimentalWarning. `--permission` takes `--allow-ffi`. */
function loadNodeFFI(file: string): Libc | undefined {
  const ffi = builtin<NodeFFI>("node:ffi");
  if (ffi === undefined) return undefined;
  const symbols = declarations((parameters, result) => ({
    arguments: parameters,
    return: result,
  }));
  const { functions } = ffi.dlopen(file, symbols);
  const location = functions[errnoFunction()] as () => unknown;
  return {
    ...functions as unknown as Libc,
    errno: () => ffi.getInt32(location(), 0),
    addressOf: (bytes) => ffi.getRawPointer(bytes),
  };
}
