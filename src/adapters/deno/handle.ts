/**
 * Deno's connections and listeners as a {@linkcode Handle}, and those of its `node:net`.
 *
 * @module
 */

import type { Handle, NativeSetters } from "../../adapter.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { SocketError } from "../../errors.ts";
import { unsupported } from "../../kernel/obstacle.ts";
import { constants } from "../../kernel/constants.ts";
import { errnoName } from "../../kernel/errno.ts";
import { closed, readInt } from "../../kernel/tcp_socket.ts";
import { type Finder, handle as nodeHandle, openedHandle as nodeOpened } from "../node/handle.ts";
import { descriptors } from "./descriptor.ts";
import { loadKernel } from "./kernel.ts";

/** What is used of `Deno.TcpConn`, and of `Deno.TlsConn`, which has no setters. */
export interface DenoConn {
  readonly localAddr: NetAddr;
  readonly remoteAddr: NetAddr;
  setNoDelay?(on: boolean): void;
  setKeepAlive?(on: boolean): void;
}

/** What is used of `Deno.Listener` and `Deno.TlsListener`. */
interface DenoListener {
  readonly addr: NetAddr;
}

/** What Deno's own connections can do. */
const setters: NativeSetters = {
  setNoDelay: true,
  setKeepAlive: true,
  setKeepAliveIdle: false,
  tuneKeepAlive: false,
  reset: false,
};

export function natives(): NativeSetters {
  return setters;
}

/** What `Deno.serve` returns, as far as it is used. */
interface DenoServer extends DenoListener {
  readonly finished: Promise<void>;
}

/** The handle of one of Deno's sockets, or `undefined` when it is none. */
export function handle(native: object): Handle | undefined {
  if (resourceId(native) === undefined) {
    return isServer(native) ? serverHandle(native) : nodeHandle(native, finder);
  }
  const { addr } = native as DenoListener;
  const conn = native as DenoConn;
  if (isTcp(conn.localAddr) && isTcp(conn.remoteAddr)) {
    return connectionHandle(conn, () => verifiedDescriptor(conn));
  }
  return isTcp(addr) ? listenerHandle(native as DenoListener) : undefined;
}

/** The handle of a socket that has just been opened here: nobody else can have its addresses yet. */
export function openedHandle(native: object): Handle {
  if (resourceId(native) === undefined) return nodeOpened(native, finder);
  const conn = native as DenoConn;
  return conn.remoteAddr === undefined
    ? listenerHandle(native as DenoListener)
    : connectionHandle(conn, () => openedDescriptor(conn));
}

/** A closed connection shows its addresses as before, and another may have them by now. */
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
 * @throws {SocketError} `EBADF`: there is none that is known to be its own.
 */
export function descriptorOf(conn: DenoConn): number {
  const { localAddr, remoteAddr, setNoDelay } = conn;
  const isOwners = setNoDelay && follows((on) => setNoDelay.call(conn, on));
  return descriptors().connection(conn, localAddr, remoteAddr, isOwners);
}

/** As {@linkcode descriptorOf}: the peer of a new one has had no time to leave and come again. */
function openedDescriptor(conn: DenoConn): number {
  return descriptors().connection(conn, conn.localAddr, conn.remoteAddr, () => true);
}

/** Whether a descriptor shows what a socket is set to: that makes it the socket's own. */
function follows(setNoDelay: (on: boolean) => void): (fd: number) => boolean {
  return (fd) => {
    const { kernel } = loadKernel();
    if (kernel === undefined) return false;
    const noDelay = () => readInt(kernel, fd, constants.IPPROTO_TCP!, constants.TCP_NODELAY!) > 0;
    const before = noDelay();
    try {
      setNoDelay(!before);
      const changed = noDelay() !== before;
      setNoDelay(before);
      return changed;
    } catch (error) {
      // Busy with a write that waits, so it is open; that is as much as can be known then.
      return (error as Error).name !== "BadResource";
    }
  };
}

/**
 * While a write waits for the peer, Deno's setters throw "Unable to get resources":
 * https://github.com/denoland/deno/blob/v2.9.6/ext/net/io.rs `map_socket`. The kernel does not mind.
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
      throw new SocketError({ code: "EBUSY", operation: "setsockopt", cause, detail });
    }
    const value = new Uint8Array(new Int32Array([Number(on)]).buffer);
    const result = kernel.setsockopt(fd(), level, name, value);
    if (result < 0) throw new SocketError({ code: errnoName(-result), operation: "setsockopt" });
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

/** It shows no resource, so that it is open is known by its promise. */
function serverHandle(server: DenoServer): Handle {
  const fd = () => {
    const [state] = core()?.getPromiseDetails?.(server.finished) ?? [];
    if (state !== undefined && state !== 0) throw closed();
    return descriptors().listener(server, server.addr);
  };
  return { kind: "listener", fd };
}

const finder: Finder = {
  connection: (owner, local, remote) => descriptors().connection(owner, local, remote),
  listener: (owner, address) => descriptors().listener(owner, address),
};

/** A closed connection refuses even the value it has. */
function mustTakeNoDelay(conn: DenoConn, fd: number): void {
  const { kernel } = loadKernel();
  if (kernel === undefined) return;
  const on = readInt(kernel, fd, constants.IPPROTO_TCP!, constants.TCP_NODELAY!) > 0;
  if (isClosed(() => conn.setNoDelay!(on))) throw closed();
}

/** What is used of Deno's inside. */
interface DenoCore {
  readSync(resource: number, into: Uint8Array): number;
  /** State, 0 while it is pending, and value. */
  getPromiseDetails?(promise: Promise<unknown>): [state: number, value: unknown];
}

function core(): DenoCore | undefined {
  const { Deno } = globalThis as unknown as {
    Deno: { internal: symbol } & Record<symbol, { core?: DenoCore } | undefined>;
  };
  return Deno[Deno.internal]?.core;
}

/** As {@linkcode isOpen}, or throws. */
function mustBeOpen(native: object): void {
  const open = isOpen(native);
  if (open === false) throw closed();
  if (open === true) return;
  throw unsupported("fd", {
    reason: "this Deno does not tell whether the socket is open",
    remedy: "",
  });
}

/**
 * Listeners and TLS connections answer everything alike when they are closed, but not a synchronous
 * read: their resources (https://github.com/denoland/deno_core/pull/1061 tells the number) support
 * none, closed ones do not exist. `undefined` when nothing tells. Can go with the search for
 * descriptors.
 */
export function isOpen(native: object): boolean | undefined {
  const inside = core();
  const resource = resourceId(native);
  if (typeof inside?.readSync !== "function" || resource === undefined) return undefined;
  return !isClosed(() => inside.readSync(resource, nothing));
}

const nothing = new Uint8Array(0);

/** Whether a call meets a resource that is gone. */
function isClosed(call: () => unknown): boolean {
  try {
    call();
  } catch (error) {
    return (error as Error).name === "BadResource";
  }
  return false;
}

/** Number of the resource behind one of Deno's own objects; never given twice. */
function resourceId(native: object): number | undefined {
  for (const symbol of Object.getOwnPropertySymbols(native)) {
    if (symbol.description === "Deno.internal.rid") {
      return (native as Record<symbol, number>)[symbol];
    }
  }
  return undefined;
}

/**
 * `Deno.startTls` gives addresses without `transport`, and only TCP becomes TLS:
 * https://github.com/denoland/deno/blob/v2.9.6/ext/net/02_tls.js
 */
export function isTcp(address: Partial<NetAddr> | undefined): boolean {
  return address?.port !== undefined && (address.transport ?? "tcp") === "tcp";
}
