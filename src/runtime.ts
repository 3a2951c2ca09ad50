/** Chooses the adapter of the running runtime. This is the only file that knows all three. */

import type { Adapter } from "./adapter.ts";
import { bunAdapter } from "./adapters/bun/adapter.ts";
import { denoAdapter } from "./adapters/deno/adapter.ts";
import { nodeAdapter } from "./adapters/node/adapter.ts";
import { runtime } from "./kernel/system.ts";

let kept: Adapter | undefined;

export function adapter(): Adapter {
  return kept ??= { deno: denoAdapter, bun: bunAdapter, node: nodeAdapter }[runtime().name];
}
