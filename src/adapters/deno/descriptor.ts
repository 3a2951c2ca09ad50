/**
 * Finds the descriptors of Deno's sockets. Deno hides them on purpose
 * (https://github.com/denoland/deno/pull/27789), so the kernel is asked which descriptor has a socket's
 * addresses. Can go when Deno shows them.
 */

import { type Descriptors, searchBy } from "../../kernel/descriptors.ts";
import { deno, isGranted } from "./deno.ts";
import { loadKernel } from "./kernel.ts";

/** The search for descriptors. */
export const descriptors: () => Descriptors = searchBy(loadKernel, list);

/** Lists a directory, or throws. Never prompts. */
export function list(path: string): string[] {
  if (!isGranted({ name: "read", path })) throw new Error("not allowed");
  return Array.from(deno().readDirSync(path), ({ name }) => name);
}
