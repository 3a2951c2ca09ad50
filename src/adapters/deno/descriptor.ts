/**
 * Finds the descriptors of Deno's sockets. Deno hides them on purpose
 * (https://github.com/denoland/deno/pull/27789), so the kernel is asked which descriptor has a socket's
 * addresses. Can go when Deno shows them.
 */

import { unsupported } from "../../kernel/obstacle.ts";
import { Descriptors } from "../../kernel/descriptors.ts";
import { deno, isGranted } from "./deno.ts";
import { loadKernel } from "./kernel.ts";

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
  if (!isGranted({ name: "read", path })) throw new Error("not allowed");
  return Array.from(deno().readDirSync(path), ({ name }) => name);
}
