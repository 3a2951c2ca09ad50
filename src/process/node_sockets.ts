/** Notices sockets of `node:net` when they are connected, in runtimes that publish it. */

import { nativeTimers } from "../time/native_timers.ts";
import { builtin } from "../kernel/system.ts";

/** A socket of `node:net` that is connected. */
export interface NetSocket {
  /** Deno's shows no descriptor. */
  readonly _handle?: { readonly fd?: number } | null;
  readonly localPort?: number;
  readonly remotePort?: number;
  once(event: "connect", listener: () => void): unknown;
}

/**
 * Calls `look` for each socket of `node:net` that is connected from now on, after its `connect` event.
 * Returns a function that ends this. Bun has no such channels:
 * https://nodejs.org/api/diagnostics_channel.html#net
 */
export function onNodeSocket(look: (socket: NetSocket) => void): () => void {
  const channels = builtin("node:diagnostics_channel");
  // Owners set options of their own in the `connect` event. The guard's have to come after them.
  const later = (socket: NetSocket) => void nativeTimers().setImmediate(() => look(socket));
  const dialled = (message: unknown) => {
    const { socket } = message as { socket: NetSocket };
    socket.once("connect", () => later(socket));
  };
  const accepted = (message: unknown) => later((message as { socket: NetSocket }).socket);
  channels.subscribe("net.client.socket", dialled);
  channels.subscribe("net.server.socket", accepted);
  return () => {
    channels.unsubscribe("net.client.socket", dialled);
    channels.unsubscribe("net.server.socket", accepted);
  };
}
