/** Finds out which operating system and which runtime this is. */

import type { Modules } from "./modules.ts";

/** The part of the global `process` that is used. All three runtimes have it. */
export interface Host {
  readonly platform: string;
  readonly pid: number;
  readonly env: Record<string, string | undefined>;
  readonly arch: string;
  readonly versions: Readonly<Record<string, string | undefined>>;
  /** Only in Node.js under its permission model. */
  readonly permission?: { has(scope: string): boolean };
  readonly allowedNodeEnvironmentFlags?: { has(flag: string): boolean };
  on(event: "exit", listener: () => void): unknown;
  nextTick(run: () => void): void;
  getBuiltinModule(name: string): unknown;
}

/** The global `process`. @throws {Error} There is none, so this is not Deno, Bun or Node.js. */
export function host(): Host {
  const { process } = globalThis as { process?: Partial<Host> };
  if (process?.getBuiltinModule !== undefined) return process as Host;
  throw new Error(
    "Cannot use @holdfast/tcp here as it needs Deno, Bun or Node.js: " +
      "there is no global process.getBuiltinModule",
  );
}

/** Loads a built-in module. Returns `undefined` where the runtime has none of that name. */
export function builtin<Name extends keyof Modules>(name: Name): Modules[Name];
export function builtin<Module extends object>(name: string): Module | undefined;
export function builtin(name: string): unknown {
  return host().getBuiltinModule(name);
}

interface Runtime {
  readonly name: "deno" | "bun" | "node";
  readonly version: string;
}

let kept: Runtime | undefined;

export function runtime(): Runtime {
  return kept ??= recognized();
}

/** Node.js comes last, since Deno and Bun have its version too. */
function recognized(): Runtime {
  const { deno, bun, node } = host().versions;
  if (deno !== undefined) return { name: "deno", version: deno };
  return bun === undefined ? { name: "node", version: node! } : { name: "bun", version: bun };
}

/** A system whose kernel numbers are known here. */
export type KnownSystem = "linux" | "darwin" | "freebsd" | "windows";

/** The name of the running system: its `process.platform`, but `"windows"` for `"win32"`. */
export function systemName(): string {
  // This is called while the module is imported, which must not fail where `process` is missing.
  const { platform = "unknown" } = (globalThis as { process?: Partial<Host> }).process ?? {};
  return platform === "win32" ? "windows" : platform;
}

/** The running system, or `undefined` for systems whose kernel numbers are not known here. */
export function knownSystem(): KnownSystem | undefined {
  const name = systemName();
  return name === "linux" || name === "darwin" || name === "freebsd" || name === "windows"
    ? name
    : undefined;
}

/** Whether the machine's byte order is little-endian. */
export const isLittleEndian: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;
