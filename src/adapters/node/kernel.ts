/**
 * System calls through koffi, where it is installed, or `node:ffi`.
 *
 * @module
 */

import type { Kernel, KernelAccess } from "../../kernel/kernel.ts";
import type { Obstacle } from "../../kernel/obstacle.ts";
import {
  errnoFunction,
  kernelOf,
  type Libc,
  libraryNames,
  noLibrary,
  signatures,
} from "../../kernel/libc.ts";
import { builtin } from "../../kernel/system.ts";

/** The part of `node:ffi` that is used. */
interface NodeFFI {
  dlopen(file: string, symbols: Record<string, unknown>): { functions: Record<string, unknown> };
  getInt32(pointer: unknown, offset: number): number;
  getRawPointer(bytes: Uint8Array): bigint;
}

/** The part of koffi that is used, https://koffi.dev. */
interface Koffi {
  load(file: string): {
    func(name: string, result: string, parameters: string[]): (...args: never[]) => number;
  };
  errno(): number;
  address(bytes: Uint8Array): bigint;
}

/** The part of `node:module` that is used. */
interface NodeModule {
  createRequire(from: string): { (name: string): unknown; resolve(name: string): string };
  isBuiltin(name: string): boolean;
}

/** The part of `node:fs` that is used. */
interface NodeFs {
  existsSync(file: string | URL): boolean;
}

/** Exists in CommonJS, which has no `import.meta`. */
declare const __filename: string | undefined;

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
  const { isBuiltin } = builtin<NodeModule>("node:module")!;
  if (kernel === undefined && quiet && isBuiltin("node:ffi")) return { obstacle: tooLoud };
  kernel ??= open(loadNodeFFI, failures);
  return kept = kernel === undefined ? { obstacle: obstacle(failures) } : { kernel };
}

/** Makes the system calls with the first library that loads. */
function open(load: (file: string) => Libc | undefined, failures: Error[]): Kernel | undefined {
  for (const file of libraryNames()) {
    try {
      const libc = load(file);
      if (libc !== undefined) return kernelOf(libc);
    } catch (cause) {
      failures.push(cause as Error);
    }
  }
  return undefined;
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

/**
 * Loads koffi from where this package, or the program into which it was bundled, can find it. It is never
 * loaded from the current directory, where anybody may have put a file of that name.
 *
 * @throws {Error} koffi is installed, but cannot be loaded.
 */
function requireKoffi(): Koffi | undefined {
  const file = ownFile();
  if (file === undefined) return undefined;
  // Not named `require`: tools that look for imports would take its argument for one.
  const load = builtin<NodeModule>("node:module")!.createRequire(file);
  try {
    load.resolve("koffi");
  } catch (cause) {
    if ((cause as { code?: string }).code === "MODULE_NOT_FOUND") return undefined;
    throw cause;
  }
  try {
    return load("koffi") as Koffi;
  } catch (cause) {
    const { message, code } = cause as Error & { code?: string };
    throw Object.assign(new Error(`koffi is installed but fails: ${message}`, { cause }), { code });
  }
}

/** The file of this code, unless it does not exist, as for code that was piped into Node. */
function ownFile(): string | undefined {
  const { existsSync } = builtin<NodeFs>("node:fs")!;
  const file: string | undefined = import.meta.url;
  if (file !== undefined) {
    return file.startsWith("file:") && existsSync(new URL(file)) ? file : undefined;
  }
  // In a bundle in CommonJS. In a single executable application this is the executable.
  return typeof __filename === "string" && existsSync(__filename) ? __filename : undefined;
}
