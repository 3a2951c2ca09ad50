/**
 * Finds the descriptors of Deno's sockets. Deno hides them on purpose
 * (https://github.com/denoland/deno/pull/27789), so the kernel is asked which descriptor has a socket's
 * addresses. Can go when Deno shows them.
 */

import { unsupported } from "../../kernel/obstacle.ts";
import { Descriptors } from "../../kernel/descriptors.ts";
import { loadKernel } from "./kernel.ts";

interface DenoFiles {
  permissions: { querySync(descriptor: { name: "read"; path: string }): { state: string } };
  readDirSync(path: string): Iterable<{ name: string }>;
}

let kept: Descriptors | undefined;

/** The search for descriptors. @throws {UnsupportedOptionError} There are no system calls. */
export function descriptors(): Descriptors {
  if (kept !== undefined) return kept;
  const { kernel, obstacle } = loadKernel();
  if (kernel === undefined) throw unsupported("fd", obstacle);
  return kept = new Descriptors(kernel, list);
}

/** Lists a directory, or throws. Never prompts. */
export function list(path: string): string[] {
  const { Deno } = globalThis as unknown as { Deno: DenoFiles };
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") {
    throw new Error("not allowed");
  }
  return Array.from(Deno.readDirSync(path), ({ name }) => name);
}
