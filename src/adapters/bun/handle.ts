/**
 * Makes a {@linkcode Handle} of Bun's own sockets and listeners, and of those of its `node:net`.
 */

import type { Handle, NativeSetters } from "../../adapter.ts";
import { list, searchBy } from "../../kernel/descriptors.ts";
import { closed, verifyTcp } from "../../kernel/tcp_socket.ts";
import { handle as nodeHandle, notTcp, openedHandle as nodeOpened } from "../node/handle.ts";
import { loadKernel } from "./kernel.ts";
import { type BunSocket, isBunSocket } from "./socket.ts";

/**
 * The setters of Bun's own sockets. `setKeepAlive` also takes an idle time, which is not used, as it sets
 * interval and count to values of Bun's choice.
 */
export const natives: NativeSetters = {
  setNoDelay: true,
  setKeepAlive: true,
  setKeepAliveIdle: false,
  tuneKeepAlive: false,
  reset: true,
};

/** The part of what `Bun.serve` returns that is used. `address` is a string for a UNIX socket. */
interface BunServer {
  /** 0 once the server has been stopped. */
  readonly port: number;
  readonly address: { readonly address: string; readonly port: number } | string;
}

/** Finds descriptors of servers and of sockets of `http.Server`, which do not show them. */
const descriptors = searchBy(loadKernel, list);

/** The handle of one of Bun's sockets, or `undefined` for anything else. */
export function handle(native: object): Handle | undefined {
  if (/^\[object (Debug)?HTTPS?Server\]$/.test(Object.prototype.toString.call(native))) {
    return { kind: "listener", fd: () => serverDescriptor(native as BunServer) };
  }
  const socket = native as BunSocket;
  return handleOf(socket, () => descriptor(socket)) ?? nodeHandle(native, descriptors);
}

/** The handle of a socket that has just been opened here. */
export function openedHandle(native: object): Handle {
  const socket = native as BunSocket;
  const handle = handleOf(socket, () => socket.fd);
  if (handle?.setNoDelay === undefined) return handle ?? nodeOpened(native);
  // Bun switches it on for every socket that it opens.
  return { ...handle, setNoDelay: (on) => on ? undefined : check(socket.setNoDelay(on)) };
}

/** The handle of one of Bun's own sockets and listeners. */
function handleOf(socket: BunSocket, fd: () => number): Handle | undefined {
  const tag = Object.prototype.toString.call(socket);
  if (tag === "[object Listener]") return { kind: "listener", fd };
  if (!isBunSocket(socket)) return undefined;
  return {
    kind: "connection",
    fd,
    setNoDelay: (on) => check(socket.setNoDelay(on)),
    setKeepAlive: (on) => check(socket.setKeepAlive(on)),
  };
}

/** Refuses closed sockets, whose `fd` is -1, and UNIX sockets, which have the same class as others. */
function descriptor({ fd }: BunSocket): number {
  if (fd < 0) throw closed();
  const { kernel } = loadKernel();
  if (kernel !== undefined) verifyTcp(kernel, fd);
  return fd;
}

/** Finds the descriptor by the server's address, since the server does not show it. */
function serverDescriptor(server: BunServer): number {
  const { address, port } = server;
  if (typeof address === "string") throw notTcp();
  if (port === 0) throw closed();
  return descriptors().listener(server, { transport: "tcp", hostname: address.address, port });
}

function check(done: boolean): void {
  if (!done) throw closed();
}
