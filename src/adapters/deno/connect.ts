/**
 * Dialling through `Deno.connect`, which resolves names and races addresses itself.
 *
 * @module
 */

import type { Attempt, Target } from "../../adapter.ts";
import { type DenoConn, DenoTransport } from "./transport.ts";

interface DenoConnect {
  connect(options: Target & { signal: AbortSignal }): Promise<DenoConn>;
}

/** Deno checks its permissions by name, so the name is Deno's to resolve. */
export function connect({ hostname, port }: Target): Attempt {
  const { Deno } = globalThis as unknown as { Deno: DenoConnect };
  const controller = new AbortController();
  return {
    opened: Deno.connect({ hostname, port, signal: controller.signal })
      .then((conn) => new DenoTransport(conn)),
    abort: () => controller.abort(),
  };
}
