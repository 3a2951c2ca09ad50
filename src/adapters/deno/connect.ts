/**
 * Dialling through `Deno.connect`, which resolves names and races addresses itself.
 *
 * @module
 */

import type { Attempt, Target } from "../../adapter.ts";
import { Line } from "../../dial/line.ts";
import { descriptorsInUse } from "./descriptor.ts";
import { dialPrepared } from "./dial_prepared.ts";
import { type DenoConn, DenoTransport } from "./transport.ts";

interface DenoConnect {
  connect(options: Pick<Target, "hostname" | "port"> & { signal: AbortSignal }): Promise<DenoConn>;
}

function ignore(): void {}

/**
 * Deno serves 128 operations that are ready in one turn of its event loop, and of more the same ones
 * may stay behind for seconds (https://docs.rs/tokio/1/tokio/task/coop/index.html). So many connects
 * at once leave room for others. Can go when 300 programs' worth of connects to loopback take turns.
 */
const line = new Line(64);

/** Deno checks its permissions by name, so the name is Deno's to resolve. */
export function connect(target: Target): Attempt {
  if (target.before !== undefined) return dialPrepared(target, target.before);
  return line.enter(() => dial(target));
}

function dial({ hostname, port }: Target): Attempt {
  const { Deno } = globalThis as unknown as { Deno: DenoConnect };
  const controller = new AbortController();
  const { signal } = controller;
  // Deno.connect asks the signal once more when it has the connection, throws, and so leaks the
  // descriptor: https://github.com/denoland/deno/blob/v2.9.6/ext/net/01_net.js. With no answer to
  // that it resolves. Can go when Deno closes what it drops; "aborted at random" tests it.
  signal.throwIfAborted = ignore;
  // A literal's socket is made within the call.
  const inUse = descriptorsInUse();
  const next = inUse?.next();
  return {
    opened: Deno.connect({ hostname, port, signal }).then((conn) => {
      if (!signal.aborted) {
        if (next !== undefined) inUse!.guess(conn, next);
        return new DenoTransport(conn, true);
      }
      conn.close();
      throw signal.reason;
    }),
    abort: () => controller.abort(),
  };
}
