/**
 * Bun's sockets and listeners as a {@linkcode Handle}, and those of its `node:net`.
 *
 * @module
 */

import type { Handle, NativeSetters } from "../../adapter.ts";
import { Descriptors } from "../../kernel/descriptors.ts";
import { list } from "../node/list.ts";
import { closed, verifyTcp } from "../../kernel/tcp_socket.ts";
import { type Finder, handle as nodeHandle } from "../node/handle.ts";
import { kernel } from "./kernel.ts";

/** What is used of Bun's TCP and TLS sockets and of its listeners. */
interface BunSocket {
  readonly fd: number;
  setNoDelay(on: boolean): boolean;
  setKeepAlive(on: boolean): boolean;
}

/** What Bun's own sockets can do. Values of `setKeepAlive` would bring others of Bun's choice. */
export const natives: NativeSetters = {
  setNoDelay: true,
  setKeepAlive: true,
  tuneKeepAlive: false,
  reset: true,
};

/** The handle of one of Bun's sockets, or `undefined` when it is none. */
export function handle(native: object, fresh?: boolean): Handle | undefined {
  switch (Object.prototype.toString.call(native)) {
    case "[object TCPSocket]":
    case "[object TLSSocket]":
      return socketHandle(native as BunSocket, fresh);
    case "[object Listener]":
      return { kind: "listener", fd: () => descriptor(native as BunSocket) };
  }
  return nodeHandle(native, finder());
}

function socketHandle(socket: BunSocket, fresh: boolean = false): Handle {
  return {
    kind: "connection",
    fd: () => fresh ? socket.fd : descriptor(socket),
    setNoDelay(on) {
      // Bun starts with it on.
      if (!fresh || !on) check(socket.setNoDelay(on));
    },
    setKeepAlive: (on) => check(socket.setKeepAlive(on)),
  };
}

/** A UNIX socket looks just the same, and closed ones have -1. */
function descriptor({ fd }: BunSocket): number {
  if (fd < 0) throw closed();
  const calls = kernel();
  if (!("reason" in calls)) verifyTcp(calls, fd);
  return fd;
}

function check(done: boolean): void {
  if (!done) throw closed();
}

let descriptors: Descriptors | undefined;

/** For `http.Server` and its sockets, which do not show their descriptor. */
function finder(): Finder | undefined {
  const calls = kernel();
  if ("reason" in calls) return undefined;
  return descriptors ??= new Descriptors(
    calls,
    list,
  );
}
