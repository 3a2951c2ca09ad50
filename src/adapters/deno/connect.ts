/** Dials through `Deno.connect`. */

import type { Attempt, Target } from "../../adapter.ts";
import { race } from "../../dial/happy_eyeballs.ts";
import { ConnectQueue } from "../../dial/connect_queue.ts";
import { identityOf } from "../../kernel/identity.ts";
import { literalVersion } from "../../kernel/sockaddr.ts";
import { deno, isGranted } from "./deno.ts";
import { descriptors } from "./descriptor.ts";
import { dialPrepared } from "./dial_prepared.ts";
import { loadKernel } from "./kernel.ts";
import { DenoTransport } from "./transport.ts";

function ignore(): void {}

/**
 * Limits how many connects run at once. In one turn of its event loop Deno serves 128 operations that are
 * ready, and of more than that some may have to wait for seconds
 * (https://docs.rs/tokio/1/tokio/task/coop/index.html). Can go when 300 loops of connects to loopback
 * take turns.
 */
const queue = new ConnectQueue(64);

/**
 * Dials the addresses of a name here if every address may be dialled, so that the error of each is known.
 * Otherwise Deno has to resolve the name, since its permissions are for names.
 */
export function connect(target: Target): Attempt {
  if (target.before !== undefined) return dialPrepared(target, target.before);
  if (literalVersion(target.hostname) !== undefined || !isGranted({ name: "net" })) {
    return queue.enter(() => dial(target));
  }
  return race(target, (hostname, _family, port) => queue.enter(() => dial({ hostname, port })));
}

function dial({ hostname, port }: Target): Attempt {
  const controller = new AbortController();
  const { signal } = controller;
  // Deno.connect calls this once more when it has the connection, and leaks the descriptor if this
  // throws: https://github.com/denoland/deno/blob/v2.9.6/ext/net/01_net.js. So it does nothing, and
  // the connection is closed below. Can go when Deno closes it; "aborted at random" tests that.
  signal.throwIfAborted = ignore;
  // For an IP literal the socket is made within the call, and gets the lowest free descriptor. For a
  // name it is made later.
  const { kernel } = loadKernel();
  const next = kernel?.lowestFree() ?? -1;
  const opening = deno().connect({ hostname, port, signal });
  const identity = kernel && identityOf(kernel, next);
  const opened = opening.then((conn) => {
    if (!signal.aborted) {
      if (identity !== undefined) descriptors().guess(conn, next, identity);
      return new DenoTransport(conn, true);
    }
    conn.close();
    throw signal.reason;
  });
  return {
    opened,
    /** Deno closes the socket before it rejects, which may take long while it resolves a name. */
    abort() {
      controller.abort();
      return literalVersion(hostname) === undefined ? undefined : opened.then(ignore, ignore);
    },
    fd() {
      return identity !== undefined && identityOf(kernel!, next) === identity ? next : undefined;
    },
  };
}
