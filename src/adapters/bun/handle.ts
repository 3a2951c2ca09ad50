/**
 * Makes a {@linkcode Handle} of Bun's own sockets and listeners, and of those of its `node:net`.
 */

import type { Handle, NativeSetters } from "../../adapter.ts";
import { Descriptors, list } from "../../kernel/descriptors.ts";
import { closed, verifyTcp } from "../../kernel/tcp_socket.ts";
import {
  type Finder,
  handle as nodeHandle,
  notTcp,
  openedHandle as nodeOpened,
} from "../node/handle.ts";
import { loadKernel } from "./kernel.ts";
import { unsupported } from "../../kernel/obstacle.ts";

/** The part of Bun's TCP and TLS sockets and of its listeners that is used. */
interface BunSocket {
  readonly fd: number;
  setNoDelay(on: boolean): boolean;
  setKeepAlive(on: boolean): boolean;
}

/**
 * The setters of Bun's own sockets. `setKeepAlive` also takes an idle time, which is not used, as it sets
 * interval and count to values of Bun's choice.
 */
const setters: NativeSetters = {
  setNoDelay: true,
  setKeepAlive: true,
  setKeepAliveIdle: false,
  tuneKeepAlive: false,
  reset: true,
};

export function natives(): NativeSetters {
  return setters;
}

/** The part of what `Bun.serve` returns that is used. `address` is a string for a UNIX socket. */
interface BunServer {
  /** 0 once the server has been stopped. */
  readonly port: number;
  readonly address: { readonly address: string; readonly port: number } | string;
}

/** The handle of one of Bun's sockets, or `undefined` for anything else. */
export function handle(native: object): Handle | undefined {
  if (/^\[object (Debug)?HTTPS?Server\]$/.test(Object.prototype.toString.call(native))) {
    return { kind: "listener", fd: () => serverDescriptor(native as BunServer) };
  }
  const kind = kindOf(native);
  return kind === undefined
    ? nodeHandle(native, finder())
    : handleOf(kind, native as BunSocket, () => descriptor(native as BunSocket));
}

/** The handle of a socket that has just been opened here. */
export function openedHandle(native: object): Handle {
  const kind = kindOf(native);
  if (kind === undefined) return nodeOpened(native);
  const socket = native as BunSocket;
  const fd = () => socket.fd;
  if (kind === "listener") return { kind, fd };
  return {
    kind,
    fd,
    // Bun switches it on for every socket that it opens.
    setNoDelay: (on) => on ? undefined : check(socket.setNoDelay(on)),
    setKeepAlive: (on) => check(socket.setKeepAlive(on)),
  };
}

function kindOf(native: object): Handle["kind"] | undefined {
  const tag = Object.prototype.toString.call(native);
  if (tag === "[object Listener]") return "listener";
  return tag === "[object TCPSocket]" || tag === "[object TLSSocket]" ? "connection" : undefined;
}

function handleOf(kind: Handle["kind"], socket: BunSocket, fd: () => number): Handle {
  if (kind === "listener") return { kind, fd };
  return {
    kind,
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
  const { kernel, obstacle } = loadKernel();
  if (kernel === undefined) throw unsupported("fd", obstacle);
  return finder()!.listener(server, { transport: "tcp", hostname: address.address, port });
}

function check(done: boolean): void {
  if (!done) throw closed();
}

let descriptors: Descriptors | undefined;

/** Finds descriptors of `http.Server` and its sockets, which do not show them. */
function finder(): Finder | undefined {
  const { kernel } = loadKernel();
  if (kernel === undefined) return undefined;
  return descriptors ??= new Descriptors(kernel, list);
}
