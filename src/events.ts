/** Publishes what happens to sockets on the runtime's diagnostics channels, for monitoring. */

import { DeadPeerError, TimeoutError, type TimeoutErrorOptions } from "./errors.ts";
import type { Modules } from "./kernel/modules.ts";
import { builtin } from "./kernel/system.ts";

type Channel = ReturnType<Modules["node:diagnostics_channel"]["channel"]>;
type Name = "holdfast.timeout" | "holdfast.dead_peer" | "holdfast.guard";

/**
 * Keeps the channels, since Bun collects a channel without references, and forgets its subscribers
 * (https://github.com/oven-sh/bun/issues/43086). Can go when Bun keeps channels that have subscribers.
 */
const channels = new Map<Name, Channel>();

/** Publishes what `make` returns, if the channel has a subscriber. */
export function publish(name: Name, make: () => object | undefined): void {
  const channel = channels.get(name) ?? builtin("node:diagnostics_channel").channel(name);
  channels.set(name, channel);
  const message = channel.hasSubscribers ? make() : undefined;
  if (message !== undefined) channel.publish(message);
}

/** Makes a {@linkcode TimeoutError} and publishes it. */
export function timeoutError(options: TimeoutErrorOptions): TimeoutError {
  const error = new TimeoutError(options);
  publishTimeout(error);
  return error;
}

/** Publishes a {@linkcode TimeoutError}. */
export function publishTimeout(error: TimeoutError): void {
  publish("holdfast.timeout", () => ({ error }));
}

const published = new WeakSet<object>();

/** Publishes the error that `make` returns, if it is a {@linkcode DeadPeerError}, once per `owner`. */
export function publishDeadPeer(owner: object, make: () => Error): void {
  publish("holdfast.dead_peer", () => {
    const error = make();
    if (!(error instanceof DeadPeerError) || published.has(owner)) return undefined;
    published.add(owner);
    return { error };
  });
}
