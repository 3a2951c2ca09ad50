/**
 * Dialling through `Deno.connect`.
 *
 * @module
 */

import type { Attempt, Target } from "../../adapter.ts";
import { isLiteral, race } from "../../dial/happy_eyeballs.ts";
import { Line } from "../../dial/line.ts";
import { identityOf } from "../../kernel/identity.ts";
import { descriptors } from "./descriptor.ts";
import { dialPrepared } from "./dial_prepared.ts";
import { loadKernel } from "./kernel.ts";
import { type DenoConn, DenoTransport } from "./transport.ts";

interface DenoConnect {
  permissions: { querySync(descriptor: { name: "net" }): { state: string } };
  connect(options: Pick<Target, "hostname" | "port"> & { signal: AbortSignal }): Promise<DenoConn>;
}

function ignore(): void {}

/**
 * Deno serves 128 operations that are ready in one turn of its event loop, and of more the same ones
 * may stay behind for seconds (https://docs.rs/tokio/1/tokio/task/coop/index.html). So many connects
 * at once leave room for others. Can go when 300 loops of connects to loopback take turns.
 */
const line = new Line(64);

/**
 * Deno checks its permissions by name, so a name is Deno's to resolve, unless every address may be
 * dialled: then each address that fails can be told.
 */
export function connect(target: Target): Attempt {
  if (target.before !== undefined) return dialPrepared(target, target.before);
  if (isLiteral(target.hostname) || !mayDialAll()) return line.enter(() => dial(target));
  return race(target, (hostname, _family, port) => line.enter(() => dial({ hostname, port })));
}

function mayDialAll(): boolean {
  const { Deno } = globalThis as unknown as { Deno: DenoConnect };
  return Deno.permissions.querySync({ name: "net" }).state === "granted";
}

function dial({ hostname, port }: Target): Attempt {
  const { Deno } = globalThis as unknown as { Deno: DenoConnect };
  const controller = new AbortController();
  const { signal } = controller;
  // Deno.connect asks the signal once more when it has the connection, throws, and so leaks the
  // descriptor: https://github.com/denoland/deno/blob/v2.9.6/ext/net/01_net.js. With no answer to
  // that it resolves. Can go when Deno closes what it drops; "aborted at random" tests it.
  signal.throwIfAborted = ignore;
  // A literal's socket is made within the call, and a name's is not.
  const { kernel } = loadKernel();
  const next = kernel?.lowestFree() ?? -1;
  const opening = Deno.connect({ hostname, port, signal });
  const identity = kernel && identityOf(kernel, next);
  return {
    opened: opening.then((conn) => {
      if (!signal.aborted) {
        if (identity !== undefined) descriptors().guess(conn, next);
        return new DenoTransport(conn, true);
      }
      conn.close();
      throw signal.reason;
    }),
    abort: () => controller.abort(),
    fd() {
      return identity !== undefined && identityOf(kernel!, next) === identity ? next : undefined;
    },
  };
}
