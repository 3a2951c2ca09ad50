/**
 * What happens to sockets, on the runtime's diagnostics channels, for programs that watch from outside.
 *
 * @module
 */

import { DeadPeerError, TimeoutError, type TimeoutErrorOptions } from "./errors.ts";
import { builtin } from "./kernel/system.ts";

interface Channel {
  readonly hasSubscribers: boolean;
  publish(message: object): void;
}

interface Channels {
  channel(name: string): Channel;
}

type Name = "holdfast.timeout" | "holdfast.dead_peer" | "holdfast.guard";

/**
 * Kept: Bun forgets a channel that nobody has hold of, with all who have subscribed to it
 * (https://github.com/oven-sh/bun/issues/43086). Need not be once it does not.
 */
const channels = new Map<Name, Channel | undefined>();

/** Publishes what `make` returns, when anybody listens. */
export function publish(name: Name, make: () => object | undefined): void {
  if (!channels.has(name)) {
    channels.set(name, builtin<Channels>("node:diagnostics_channel")?.channel(name));
  }
  const channel = channels.get(name);
  const message = channel?.hasSubscribers ? make() : undefined;
  if (message !== undefined) channel!.publish(message);
}

/** A {@linkcode TimeoutError}, which is published. */
export function timeoutError(options: TimeoutErrorOptions): TimeoutError {
  const error = new TimeoutError(options);
  publish("holdfast.timeout", () => ({ error }));
  return error;
}

const told = new WeakSet<object>();

/** Publishes a {@linkcode DeadPeerError}, once for `owner`. */
export function publishDeadPeer(owner: object, make: () => Error): void {
  publish("holdfast.dead_peer", () => {
    const error = make();
    if (!(error instanceof DeadPeerError) || told.has(owner)) return undefined;
    told.add(owner);
    return { error };
  });
}
