/**
 * Which runtime this is. The only file that asks.
 *
 * @module
 */

import type { Adapter } from "./adapter.ts";
import { bunAdapter } from "./adapters/bun/adapter.ts";
import { denoAdapter } from "./adapters/deno/adapter.ts";
import { nodeAdapter } from "./adapters/node/adapter.ts";

let kept: Adapter | undefined;

/** The adapter of the runtime that executes this. */
export function adapter(): Adapter {
  return kept ??= "Deno" in globalThis
    ? denoAdapter
    : "Bun" in globalThis
    ? bunAdapter
    : nodeAdapter;
}
