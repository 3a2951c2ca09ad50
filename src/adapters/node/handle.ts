/**
 * Makes a {@linkcode Handle} of `net.Socket`, `tls.TLSSocket`, `net.Server` and their kin, also of those
 * in Bun and Deno.
 */

import type { Handle, NativeSetters } from "../../adapter.ts";
import type { Descriptors } from "../../kernel/descriptors.ts";
import type { UnsupportedOptionError } from "../../errors.ts";
import { unsupported } from "../../kernel/obstacle.ts";
import { builtin, host, runtime, systemName } from "../../kernel/system.ts";
import { Refusal } from "../../kernel/system_error.ts";
import { closed } from "../../kernel/tcp_socket.ts";
import { type Binding, net, type NodeServer, type NodeSocket } from "./net.ts";

/** Finds descriptors in runtimes whose objects do not have them. */
type Search = (() => Descriptors) | undefined;

/** Whether `setKeepAlive` takes interval and count: https://github.com/nodejs/node/pull/63825 */
function tunes(): boolean {
  const [major = 0, minor = 0] = host().versions.node!.split(".").map(Number);
  return major === 24 ? minor >= 21 : major === 26 ? minor >= 4 : major > 26;
}

let kept: NativeSetters | undefined;

/** The setters of sockets of `node:net`. In Deno and Bun `setKeepAlive` was tested on Linux only. */
export function natives(): NativeSetters {
  if (kept !== undefined) return kept;
  const isNode = runtime().name === "node";
  return kept = {
    setNoDelay: true,
    setKeepAlive: isNode || systemName() === "linux",
    setKeepAliveIdle: isNode,
    tuneKeepAlive: isNode && tunes(),
    tuneKeepAliveFrom: isNode ? "Node.js 24.21 or 26.4" : undefined,
    reset: true,
  };
}

/** The handle of a `node:net` object, or `undefined` for anything else. */
export function handle(native: object, search?: Search): Handle | undefined {
  const { Socket, Server } = net();
  if (native instanceof Socket) return socketHandle(native, search, tcpBinding);
  if (native instanceof Server) return serverHandle(native, search);
  // Bun's http.Server is a class of its own.
  const { Server: HttpServer } = builtin<ReturnType<typeof net>>("node:http")!;
  return native instanceof HttpServer ? serverHandle(native, search) : undefined;
}

/** The handle of a socket or server that has just been opened here. */
export function openedHandle(native: object, search?: Search): Handle {
  if (native instanceof net().Socket) return socketHandle(native, search, openBinding);
  const server = native as NodeServer;
  // The setters of a connection work on a listening socket too.
  return { ...serverHandle(server, search), ...settersOf(() => server._handle!) };
}

function socketHandle(
  socket: NodeSocket,
  search: Search,
  binding: (socket: NodeSocket) => Binding,
): Handle {
  const fd = () => socketDescriptor(socket, search);
  if (isUnbound(socket)) return { kind: "connection", fd };
  return { kind: "connection", fd, ...settersOf(() => binding(socket)) };
}

/**
 * The setters of the object below a socket. Those of the socket remember what they set last and do nothing
 * for the same value, even if the kernel's has changed since: https://github.com/nodejs/node/pull/31543
 */
function settersOf(binding: () => Binding): Partial<Handle> {
  const { setKeepAlive, setKeepAliveIdle, tuneKeepAlive } = natives();
  const setNoDelay = (on: boolean) => check(binding().setNoDelay!(on));
  if (!setKeepAlive) return { setNoDelay };
  const tune = (...values: number[]) => check(binding().setKeepAlive!(true, ...values));
  return {
    setNoDelay,
    // With an idle time of 0, libuv switches keepalive, and then refuses to change the idle time.
    setKeepAlive: (on: boolean) => check(binding().setKeepAlive!(on, 0), on),
    setKeepAliveIdle: setKeepAliveIdle ? tune : undefined,
    tuneKeepAlive: tuneKeepAlive ? tune : undefined,
  };
}

/** Sockets of Bun's HTTP server have no binding, although they are open. */
function isUnbound(socket: NodeSocket): boolean {
  return socket._handle === null && !socket.destroyed && socket.remotePort !== undefined;
}

function serverHandle(server: NodeServer, search: Search): Handle {
  return { kind: "listener", fd: () => serverDescriptor(server, search) };
}

function serverDescriptor(server: NodeServer, search: Search): number {
  if (!server.listening) throw closed("the server does not listen");
  const address = server.address();
  if (address === null || typeof address === "string") throw notTcp();
  const fd = server._handle?.fd;
  if (fd !== undefined && fd >= 0) return fd;
  if (isPrimarys(server)) throw unsupported("fd", elsewhere);
  if (search === undefined) throw noDescriptor();
  const { address: hostname, port } = address;
  return search().listener(server, { transport: "tcp", hostname, port });
}

const elsewhere = {
  reason: "in a worker of node:cluster the primary process has the listening socket",
  remedy: 'call setOptions(socket, ...) in server.on("connection", (socket) => ...)',
};

/**
 * Whether a server gets its connections from another process. Its handle is then an object whose methods
 * are its own properties: https://github.com/nodejs/node/blob/v26.0.0/lib/internal/cluster/child.js `rr`
 */
function isPrimarys({ _handle }: NodeServer): boolean {
  return typeof _handle === "object" && _handle !== null && Object.hasOwn(_handle, "getsockname");
}

function socketDescriptor(socket: NodeSocket, search: Search): number {
  const binding: Binding = isUnbound(socket) ? {} : tcpBinding(socket);
  const { fd } = binding;
  if (fd !== undefined && fd >= 0) return fd;
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  if (
    search === undefined || localAddress === undefined || localPort === undefined ||
    remoteAddress === undefined || remotePort === undefined
  ) throw noDescriptor();
  const all = search();
  const local = { transport: "tcp", hostname: localAddress, port: localPort } as const;
  const remote = { transport: "tcp", hostname: remoteAddress, port: remotePort } as const;
  const isOwners = binding.setNoDelay &&
    ((fd: number) => all.isCertain(fd, local, (on) => binding.setNoDelay!(on)));
  return all.connection(socket, local, remote, isOwners);
}

/** The binding of a socket that is connected over TCP. */
function tcpBinding(socket: NodeSocket): Binding {
  const binding = openBinding(socket);
  if (socket.address().family === undefined) throw notTcp();
  return binding;
}

function openBinding(socket: NodeSocket): Binding {
  if (socket.destroyed) throw closed();
  if (socket.connecting) throw notConnected("the socket is still connecting");
  const binding = socket._handle;
  if (binding === null || binding === undefined) throw notConnected("the socket is not connected");
  return binding;
}

/** Throws if a setter failed. Node returns 0 or libuv's error number, Bun `false` for a closed socket. */
function check(result: unknown, refused = false): void {
  if (result === false) throw closed();
  if (typeof result !== "number" || result >= 0) return;
  const code = builtin("node:util").getSystemErrorName(result);
  // What libuv says of an idle time of 0: the second one until 1.51. On Windows that asked the system,
  // whose error it has no name for.
  if (refused && (code === "EINVAL" || code === "EPERM" || code === "UNKNOWN")) return;
  throw new Refusal(code);
}

function notConnected(detail: string): Refusal {
  const remedy = 'call setOptions, getOptions and the like after its "connect" event';
  return new Refusal("ENOTCONN", `${detail}: ${remedy}`);
}

/** The error for a UNIX socket. */
export function notTcp(): TypeError {
  return new TypeError("Cannot use the socket as it must be a TCP socket: this one is not TCP");
}

function noDescriptor(): UnsupportedOptionError {
  return unsupported("fd", {
    reason: "this socket has no descriptor of its own",
  });
}
