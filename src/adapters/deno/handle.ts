/**
 * Makes a {@linkcode Handle} of Deno's own connections and listeners, and of those of its `node:net`.
 */

import type { Handle, NativeSetters } from "../../adapter.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { unsupported } from "../../kernel/obstacle.ts";
import { constants } from "../../kernel/constants.ts";
import { follows } from "../../kernel/descriptors.ts";
import { Refusal } from "../../kernel/system_error.ts";
import { closed, readInt, refused, writeInt } from "../../kernel/tcp_socket.ts";
import { handle as nodeHandle, openedHandle as nodeOpened } from "../node/handle.ts";
import { core, type DenoConn, type DenoListener } from "./deno.ts";
import { descriptors } from "./descriptor.ts";
import { loadKernel } from "./kernel.ts";

/** The setters of Deno's own connections. */
export const natives: NativeSetters = {
  setNoDelay: true,
  setKeepAlive: true,
  setKeepAliveIdle: false,
  tuneKeepAlive: false,
  reset: false,
};

/** The part of what `Deno.serve` returns that is used. */
interface DenoServer {
  readonly addr: NetAddr;
  readonly finished: Promise<void>;
}

/** The handle of one of Deno's sockets, or `undefined` for anything else. */
export function handle(native: object): Handle | undefined {
  if (resourceId(native) === undefined) {
    return isServer(native) ? serverHandle(native) : nodeHandle(native, descriptors);
  }
  const { addr } = native as DenoListener;
  const conn = native as DenoConn;
  if (isTcp(conn.localAddr) && isTcp(conn.remoteAddr)) {
    return connectionHandle(conn, () => verifiedDescriptor(conn));
  }
  return isTcp(addr) ? listenerHandle(native as DenoListener) : undefined;
}

/** The handle of a socket that was just opened here, so that no other socket can have its addresses. */
export function openedHandle(native: object): Handle {
  if ("remoteAddr" in native) {
    const conn = native as DenoConn;
    return connectionHandle(conn, () => openedDescriptor(conn));
  }
  return "addr" in native
    ? listenerHandle(native as DenoListener)
    : nodeOpened(native, descriptors);
}

/**
 * The descriptor of a connection that is open for certain: a closed one still shows its addresses, which
 * another connection may have by now.
 */
function verifiedDescriptor(conn: DenoConn): number {
  if (conn.setNoDelay === undefined) mustBeOpen(conn);
  const fd = descriptorOf(conn);
  if (conn.setNoDelay !== undefined) mustTakeNoDelay(conn, fd);
  return fd;
}

function connectionHandle(conn: DenoConn, fd: () => number): Handle {
  const { setNoDelay, setKeepAlive } = conn;
  if (setNoDelay === undefined || setKeepAlive === undefined) return { kind: "connection", fd };
  return {
    kind: "connection",
    fd,
    setNoDelay(on) {
      const { IPPROTO_TCP, TCP_NODELAY } = constants;
      orByKernel(() => setNoDelay.call(conn, on), fd, [IPPROTO_TCP!, TCP_NODELAY!], on);
    },
    setKeepAlive(on) {
      const { SOL_SOCKET, SO_KEEPALIVE } = constants;
      orByKernel(() => setKeepAlive.call(conn, on), fd, [SOL_SOCKET!, SO_KEEPALIVE!], on);
    },
  };
}

/**
 * The descriptor of a connection.
 *
 * @throws {Refusal} `EBADF`: no descriptor is its own for certain.
 */
export function descriptorOf(conn: DenoConn): number {
  const { localAddr, remoteAddr, setNoDelay } = conn;
  const isOwners = setNoDelay && ownerOf((on) => setNoDelay.call(conn, on));
  return descriptors().connection(conn, localAddr, remoteAddr, isOwners);
}

/** Like {@linkcode descriptorOf}, but checks less: the peer of a new connection cannot have come twice. */
function openedDescriptor(conn: DenoConn): number {
  return descriptors().connection(conn, conn.localAddr, conn.remoteAddr, () => true);
}

/** Tells whether a descriptor is the own one of a connection with this setter. */
function ownerOf(setNoDelay: (on: boolean) => void): (fd: number) => boolean {
  return (fd) => {
    const { kernel } = loadKernel();
    if (kernel === undefined) return false;
    try {
      return follows(kernel, fd, setNoDelay);
    } catch (error) {
      // The setter fails while a write waits. Then the socket is open, and no more can be known.
      return (error as Error).name !== "BadResource";
    }
  };
}

/**
 * Sets an option by a system call when Deno's setter fails: while a write waits for the peer, Deno's
 * setters throw "Unable to get resources" (`map_socket` in
 * https://github.com/denoland/deno/blob/v2.9.6/ext/net/io.rs).
 */
function orByKernel(
  set: () => void,
  fd: () => number,
  [level, name]: readonly [number, number],
  on: boolean,
): void {
  try {
    return set();
  } catch (cause) {
    if ((cause as Error).name === "BadResource") throw cause;
    const { kernel } = loadKernel();
    if (kernel === undefined) {
      const detail = "Deno sets nothing while a write waits, unless it has --allow-ffi";
      throw new Refusal("EBUSY", detail, cause);
    }
    const result = writeInt(kernel, fd(), level, name, Number(on));
    if (result < 0) throw refused(result);
  }
}

function listenerHandle(listener: DenoListener): Handle {
  const fd = () => {
    mustBeOpen(listener);
    return descriptors().listener(listener, listener.addr);
  };
  return { kind: "listener", fd };
}

function isServer(native: object): native is DenoServer {
  const { addr, finished, shutdown } = native as Partial<DenoServer> & { shutdown?: unknown };
  return finished instanceof Promise && typeof shutdown === "function" && isTcp(addr);
}

/** A server shows no resource, so whether it is open is read off the state of its promise. */
function serverHandle(server: DenoServer): Handle {
  const fd = () => {
    const [state] = core()?.getPromiseDetails?.(server.finished) ?? [];
    if (state !== undefined && state !== 0) throw closed();
    return descriptors().listener(server, server.addr);
  };
  return { kind: "listener", fd };
}

/** Throws if the connection is closed: then it refuses even the value that it has. */
function mustTakeNoDelay(conn: DenoConn, fd: number): void {
  const { kernel } = loadKernel();
  if (kernel === undefined) return;
  const on = readInt(kernel, fd, constants.IPPROTO_TCP!, constants.TCP_NODELAY!) > 0;
  if (isClosed(() => conn.setNoDelay!(on))) throw closed();
}

/** Throws unless the socket is open. */
function mustBeOpen(native: object): void {
  const open = isOpen(native);
  if (open === false) throw closed();
  if (open === true) return;
  throw unsupported("fd", {
    reason: "this Deno does not tell whether the socket is open",
  });
}

/**
 * Whether a listener or TLS connection is open; `undefined` when that cannot be found out. Closed ones
 * differ from open ones only in the error of a synchronous read from their resource: open ones do not
 * support it, and the resource of closed ones does not exist. The resource's number is known from
 * https://github.com/denoland/deno_core/pull/1061. Can go with the search for descriptors.
 */
export function isOpen(native: object): boolean | undefined {
  const inside = core();
  const resource = resourceId(native);
  if (typeof inside?.readSync !== "function" || resource === undefined) return undefined;
  return !isClosed(() => inside.readSync(resource, nothing));
}

const nothing = new Uint8Array(0);

/** Whether a call fails because the resource is gone. */
function isClosed(call: () => unknown): boolean {
  try {
    call();
  } catch (error) {
    return (error as Error).name === "BadResource";
  }
  return false;
}

/** The number of the resource behind one of Deno's own objects. Deno never uses a number twice. */
function resourceId(native: object): number | undefined {
  for (const symbol of Object.getOwnPropertySymbols(native)) {
    if (symbol.description === "Deno.internal.rid") {
      return (native as Record<symbol, number>)[symbol];
    }
  }
  return undefined;
}

/**
 * Whether this is the address of a TCP socket. After `Deno.startTls` addresses have no `transport`:
 * https://github.com/denoland/deno/blob/v2.9.6/ext/net/02_tls.js
 */
export function isTcp(address: Partial<NetAddr> | undefined): boolean {
  return address?.port !== undefined && (address.transport ?? "tcp") === "tcp";
}
