/**
 * Which operating system this is, and the process it runs in.
 *
 * @module
 */

import type { SockaddrSystem } from "./sockaddr.ts";

/** What is used of `process`, which all three runtimes have as a global. */
export interface Host {
  readonly platform: string;
  readonly pid: number;
  readonly env: Record<string, string | undefined>;
  readonly arch: string;
  readonly versions: Readonly<Record<string, string | undefined>>;
  /** Node.js under its permission model. */
  readonly permission?: { has(scope: string): boolean };
  readonly allowedNodeEnvironmentFlags?: { has(flag: string): boolean };
  on(event: "exit", listener: () => void): unknown;
  getBuiltinModule(name: string): unknown;
}

/** The global `process`. @throws {Error} There is none: this is no Deno, Bun or Node.js. */
export function host(): Host {
  const { process } = globalThis as { process?: Partial<Host> };
  if (process?.getBuiltinModule !== undefined) return process as Host;
  throw new Error(
    "Cannot use @holdfast/tcp here as it needs Deno, Bun or Node.js: " +
      "there is no global process.getBuiltinModule",
  );
}

/** A built-in module, loaded at this call. `undefined` where the runtime has none of that name. */
export function builtin<Module extends object>(name: string): Module | undefined {
  return host().getBuiltinModule(name) as Module | undefined;
}

/** Which runtime this is, by name and version. Deno and Bun have a version of Node.js as well. */
export function runtime(): { readonly name: "deno" | "bun" | "node"; readonly version: string } {
  const { deno, bun, node } = host().versions;
  if (deno !== undefined) return { name: "deno", version: deno };
  return bun === undefined ? { name: "node", version: node! } : { name: "bun", version: bun };
}

/** A system whose kernel numbers are known here. */
export type KnownSystem = SockaddrSystem;

/** The running system; one that is not listed gets its `process.platform`. */
export function systemName(): string {
  // Asked at import, too, which succeeds everywhere.
  const { platform = "unknown" } = (globalThis as { process?: Partial<Host> }).process ?? {};
  return platform === "win32" ? "windows" : platform;
}

/** The running system, or `undefined` where no kernel number is known: never a guess. */
export function knownSystem(): KnownSystem | undefined {
  const name = systemName();
  return name === "linux" || name === "darwin" || name === "freebsd" || name === "windows"
    ? name
    : undefined;
}
