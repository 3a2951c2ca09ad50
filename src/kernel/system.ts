/**
 * Which operating system this is, and the process it runs in. Read when asked, not at import.
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
  cwd(): string;
  on(event: "exit", listener: () => void): unknown;
  getBuiltinModule(name: string): unknown;
}

/** The global `process`. */
export function host(): Host {
  return (globalThis as unknown as { process: Host }).process;
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
  const { platform } = host();
  return platform === "win32" ? "windows" : platform;
}

/** The running system, or `undefined` where no kernel number is known: never a guess. */
export function knownSystem(): KnownSystem | undefined {
  const name = systemName();
  return name === "linux" || name === "darwin" || name === "freebsd" || name === "windows"
    ? name
    : undefined;
}
