/**
 * Sets and reads the options of any socket: one of ours, one of the runtime's, or a bare descriptor.
 */

import type { Handle } from "../adapter.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { applyPlan, supportedPlan, supportedStep } from "./apply.ts";
import { checkInteger, fail } from "../check.ts";
import { type ErrorAddress, toSocketError } from "../errors.ts";
import { Entry } from "../kernel/entry.ts";
import { quickenNative } from "./dead_peer.ts";
import type { Ours } from "./ours.ts";
import { type RowName, rows } from "./table.ts";
import { closed, familyOf, kindOf, verifyTcp } from "../kernel/tcp_socket.ts";
import type { KeepAliveOptions, KernelOptions, SocketOptions } from "./types.ts";
import { kernelFor, placesOf } from "./support.ts";
import { adapter } from "../runtime.ts";
import { keepAliveOption, type SocketPlan } from "./plan.ts";
import { getFrom, type Value } from "./encode.ts";
import { checkSocketOptions } from "./validate.ts";

/**
 * Any socket: one of ours, one of the runtime's own, or a descriptor. Every socket has at least one of
 * these members, so an object that has none of them does not compile.
 *
 * @example A function for whatever socket comes
 * ```ts
 * import { type AnySocket, connect, getOptions, listen } from "@holdfast/tcp";
 *
 * const hasNagle = (socket: AnySocket) => getOptions(socket).noDelay === false;
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({ port: listener.addr.port, timeout: 1_000 });
 * console.log(hasNagle(socket)); // false
 * ```
 */
export interface AnySocket {
  /** A bare descriptor, an entry of `sockets()`, a socket of Bun's. */
  readonly fd?: number;
  /** Connections of ours and of Deno's. */
  readonly localAddr?: unknown;
  /** Listeners of ours and of Deno's, and what `Deno.serve` returns. */
  readonly addr?: unknown;
  /** Sockets of `node:net` and of Bun's. */
  readonly setKeepAlive?: unknown;
  /** Servers of `node:net` and their kin. */
  readonly address?: unknown;
  /** What `Bun.listen` and `Bun.serve` return. */
  readonly stop?: unknown;
}

/**
 * Sets options of any TCP socket: one of ours; `Deno.TcpConn`, `Deno.TlsConn`, `Deno.Listener`; Bun's
 * sockets and listeners; `net.Socket`, `tls.TLSSocket`, `net.Server`, `http.Server` and their kin; what
 * `Bun.serve` and `Deno.serve` return; an entry of `sockets()`; or `{ fd }`.
 * Everything is checked before the first option is set.
 *
 * @param socket An open socket.
 * @param options What to set; an option left out is left alone.
 * @returns What the kernel now reports for the options given, as far as it can be read here.
 * @throws {TypeError | RangeError} An option is unknown or out of range, or `socket` is not a TCP socket.
 * @throws {UnsupportedOptionError} An option cannot be set here; nothing was set.
 * @throws {SocketError} `EBADF` when the socket is closed, or what the kernel refused.
 *
 * @example Keepalive for a socket that a library opened
 * ```ts
 * import { setOptions } from "@holdfast/tcp";
 * import { connect, createServer } from "node:net";
 * import { once } from "node:events";
 *
 * const server = createServer().listen(0, "127.0.0.1");
 * await once(server, "listening");
 * const socket = connect((server.address() as { port: number }).port, "127.0.0.1");
 * await once(socket, "connect");
 * console.log(setOptions(socket, { keepAlive: { idle: 60_000, interval: 10_000, count: 3 } }));
 * socket.destroy();
 * server.close();
 * ```
 */
export function setOptions(socket: AnySocket, options: SocketOptions): SocketOptions {
  const plan = checkSocketOptions(options, "set options");
  return withHandle(socket, "set options", (handle) => {
    change(socket, handle, plan);
    return adapter().loadKernel().obstacle === undefined ? read(handle, plan.given) : {};
  });
}

/** Does what {@linkcode setOptions} does, without reading anything back. */
export function changeOptions(socket: AnySocket, options: SocketOptions): void {
  const plan = checkSocketOptions(options, "set options");
  withHandle(socket, "set options", (handle) => change(socket, handle, plan));
}

/**
 * Does what {@linkcode changeOptions} does for keepalive alone, and faster, since programs that change
 * pooled connections do that often.
 */
export function changeKeepAlive(socket: Ours, handle: Handle, keepAlive: unknown): void {
  const verb = "set options";
  const option = keepAliveOption(keepAlive, verb);
  try {
    if (socket.isClosed) throw closed();
    applyPlan(handle, [supportedStep(option, handle)]);
    socket.watchPeer(undefined);
  } catch (error) {
    throw located(error, socket, verb);
  }
}

function change(socket: AnySocket, handle: Handle, checked: SocketPlan): void {
  const plan = supportedPlan(checked, handle);
  const { deadPeerTimeout, given } = plan;
  const ours = "watchPeer" in socket ? socket as Ours : undefined;
  if (deadPeerTimeout !== undefined && ours === undefined) quickenNative(handle, deadPeerTimeout);
  applyPlan(handle, plan.steps);
  if (["deadPeerTimeout", "keepAlive", "userTimeout"].some((key) => given.includes(key as never))) {
    ours?.watchPeer(deadPeerTimeout);
  }
}

/**
 * Reads the options of any TCP socket from the kernel, all that this system has.
 *
 * @param socket As for {@linkcode setOptions}.
 * @returns What the kernel reports. `keepAlive` is `false`, or an object with its values.
 * @throws {TypeError} `socket` is not a TCP socket.
 * @throws {UnsupportedOptionError} The kernel is out of reach here.
 * @throws {SocketError} `EBADF` when the socket is closed.
 *
 * @example See what the kernel has
 * ```ts
 * import { connect, getOptions, listen } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({ port: listener.addr.port, timeout: 1_000 });
 * console.log(getOptions(socket).noDelay); // true
 * ```
 */
export function getOptions(socket: AnySocket): KernelOptions {
  return withHandle(
    socket,
    "get options",
    (handle) => read(handle, handle.kind === "listener" ? ofListeners : ofConnections),
  );
}

const ofListeners = (Object.keys(rows) as RowName[])
  .filter((name) => !name.includes(".")) as (keyof KernelOptions)[];
const ofConnections = ofListeners.filter((name) => !rows[name as RowName].bind);

function read(handle: Handle, keys: readonly (keyof KernelOptions)[]): KernelOptions {
  const kernel = kernelFor("getOptions");
  const fd = handle.fd();
  const options: Record<string, unknown> = {};
  for (const name of keys) {
    const key = name === "deadPeerTimeout" ? "keepAlive" : name;
    const value = key === "keepAlive" ? readKeepAlive(kernel, fd) : readRow(kernel, fd, key);
    if (value !== undefined) options[key] = value;
  }
  return options;
}

function readKeepAlive(kernel: Kernel, fd: number): boolean | KeepAliveOptions | undefined {
  const on = readRow(kernel, fd, "keepAlive");
  if (on !== true) return on as boolean | undefined;
  const values: KeepAliveOptions = {};
  for (const key of ["idle", "interval", "count"] as const) {
    const value = readRow(kernel, fd, `keepAlive.${key}`);
    if (typeof value === "number") values[key] = value;
  }
  return values;
}

function readRow(kernel: Kernel, fd: number, name: RowName): Value | undefined {
  const [place4, place6] = placesOf(name) ?? [];
  if (place4 === undefined) return undefined;
  const place = place6 !== undefined && familyOf(kernel, fd) === "6" ? place6 : place4;
  return getFrom(kernel, fd, place, rows[name]);
}

/**
 * Calls `use` with the handle of any socket. The handle is valid during this call only.
 *
 * @throws {SocketError} The socket is closed, or what `use` was refused.
 */
export function withHandle<T>(socket: unknown, verb: string, use: (handle: Handle) => T): T {
  try {
    if (!(socket instanceof Entry)) return use(handleOf(socket, verb));
    const { kind } = socket;
    return socket.borrow(kernelFor("fd"), (fd) => use({ kind, fd: () => fd }));
  } catch (error) {
    throw located(error, socket, verb);
  }
}

/** Adds the call and the socket's address to an error. */
function located(error: unknown, socket: unknown, verb: string): Error {
  const { remoteAddr, addr, localAddr } = (socket ?? {}) as Record<string, ErrorAddress>;
  const operation = verb.startsWith("set") ? "setsockopt" : "getsockopt";
  return toSocketError(error, operation, remoteAddr ?? addr ?? localAddr);
}

/** The handle of any socket but an entry of `sockets()`. @throws {TypeError} It is not a socket. */
export function handleOf(socket: unknown, verb: string): Handle {
  if (typeof socket !== "object" || socket === null) {
    fail(TypeError, verb, "socket", "must be a TCP socket", socket);
  }
  const ours = "watchPeer" in socket ? socket as Ours : undefined;
  // This comes first, so that a closed socket is reported as closed also where options cannot be set.
  if (ours?.isClosed) throw closed();
  // With such a socket some runtimes fail, and others accept every option without effect.
  if (ours?.gone) throw closed("the connection has ended");
  const { native, fd } = ours === undefined
    ? socket as { native?: unknown; fd?: unknown }
    : { native: ours.inner, fd: undefined };
  // A connection or listener of ours holds the runtime's own in `native`.
  const target = typeof native === "object" && native !== null ? native : socket;
  const handle = adapter().handle(target);
  if (handle !== undefined) return handle;
  if (fd === undefined) fail(TypeError, verb, "socket", "must be a TCP socket", socket);
  return descriptorHandle(fd, verb);
}

function descriptorHandle(value: unknown, verb: string): Handle {
  const fd = checkInteger(value, "fd", 0, 2 ** 31 - 1, verb);
  const kernel = kernelFor("fd");
  verifyTcp(kernel, fd);
  return { kind: kindOf(kernel, fd), fd: () => fd };
}
