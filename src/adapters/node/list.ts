/**
 * Lists directories.
 *
 * @module
 */

import { builtin } from "../../kernel/system.ts";

interface NodeFs {
  readdirSync(path: string): string[];
}

/** The names in a directory, or throws. */
export function list(path: string): string[] {
  return builtin<NodeFs>("node:fs")!.readdirSync(path);
}
