/**
 * What the tests of listeners and options share: a connection in TIME_WAIT, descriptors from the kernel's
 * tables, and option values that are read by numbers written down here, independent of the library.
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import {
  capabilities,
  connect,
  getsockopt,
  listen,
  type ListenOptions,
  SocketError,
  type TcpConnection,
  type TcpListener,
} from "@holdfast/tcp";
import { assertEquals, assertInstanceOf } from "@std/assert";
import { noTables, patience, socketsOf, until, within } from "./support.ts";

/** Why the kernel cannot be asked for option values here, or `undefined`. */
export const noKernel: string | undefined = (() => {
  const { get, reason } = capabilities().options.hopLimit;
  return get === "none" ? `reads options from the kernel: ${reason}` : undefined;
})();

/** Why the tests with Linux's own numbers cannot run here, or `undefined`. */
export const notLinux: string | undefined = noTables ?? noKernel;

/** Why there is no IPv6 here, or `undefined`. */
export const noIpv6: string | undefined = await listen({ hostname: "::1", port: 0, timeout: null })
  .then((listener) => listener.close(), (error) => `no IPv6 here: ${error.code}`) ?? undefined;

/** Levels and names from `asm-generic/socket.h`, `linux/in.h`, `in6.h` and `tcp.h`. */
export const linux = {
  reuseAddress: [1, 2],
  sendBufferSize: [1, 7],
  receiveBufferSize: [1, 8],
  keepAlive: [1, 9],
  linger: [1, 13],
  reusePort: [1, 15],
  acceptConn: [1, 30],
  tos: [0, 1],
  ttl: [0, 2],
  noDelay: [6, 1],
  idle: [6, 4],
  interval: [6, 5],
  count: [6, 6],
  tcpInfo: [6, 11],
  congestion: [6, 13],
  userTimeout: [6, 18],
  notSentLowWaterMark: [6, 25],
  hops: [41, 16],
  v6Only: [41, 26],
  trafficClass: [41, 67],
} as const;

/** The raw bytes of an option, read from the descriptor in the kernel's tables. */
export function rawBytes(
  socket: TcpConnection | TcpListener,
  [level, name]: readonly [number, number],
  length?: number,
): Uint8Array {
  return getsockopt({ fd: descriptorOf(socket) }, level, name, length);
}

/** The option as numbers: one, or the two of a struct. */
export function rawInts(
  socket: TcpConnection | TcpListener,
  place: readonly [number, number],
  length: 4 | 8 = 4,
): number[] {
  return [...new Int32Array(rawBytes(socket, place, length).slice().buffer)];
}

/** Descriptors that were found, since reading the tables of a busy machine takes long. */
const descriptors = new WeakMap<object, number>();

/** The descriptor of an open socket of this process, without help of the library or the runtime. */
export function descriptorOf(socket: TcpConnection | TcpListener): number {
  const known = descriptors.get(socket);
  if (known !== undefined) return known;
  const fd = "addr" in socket
    ? descriptorOfPorts(socket.addr.port, 0)
    : descriptorOfPorts(socket.localAddr.port, socket.remoteAddr.port);
  descriptors.set(socket, fd);
  return fd;
}

/** The descriptor of the socket with these ports. The remote port of a listener is 0. */
export function descriptorOfPorts(local: number, remote: number): number {
  // Another program may have the same ports at another address.
  const links = inodesOf(local, remote).map((inode) => `socket:[${inode}]`);
  const fd = readdirSync("/proc/self/fd").find((fd) => {
    try {
      return links.includes(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false;
    }
  });
  if (fd === undefined) throw new Error(`No descriptor with ports ${local} and ${remote}`);
  return Number(fd);
}

function inodesOf(localPort: number, remotePort: number): string[] {
  const port = (address = "") => parseInt(address.split(":").at(-1)!, 16);
  return ["/proc/net/tcp", "/proc/net/tcp6"].flatMap((file) => {
    const rows = readFileSync(file, "utf8").trim().split("\n").slice(1);
    return rows.map((row) => row.trim().split(/\s+/))
      .filter(([, local, remote]) => port(local) === localPort && port(remote) === remotePort)
      .map((fields) => fields[9]!);
  });
}

/** The error of a promise that has to reject. */
export async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  const nothing = Symbol();
  const error = await within(patience, promise.then(() => nothing, (error: unknown) => error));
  if (error === nothing) throw new Error("Expected a rejection");
  return error;
}

/** A rejection with SocketError of this code. */
export async function assertCode(promise: Promise<unknown>, code: string): Promise<SocketError> {
  const error = await errorOf(promise);
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, code);
  return error;
}

/**
 * A port whose last connection is in TIME_WAIT, which is so only if the accepted side closed first. This
 * is checked in the kernel's table.
 */
export async function timeWaitPort(options: Partial<ListenOptions> = {}): Promise<number> {
  const hostname = "127.0.0.1";
  const listener = await listen({ hostname, port: 0, timeout: patience, ...options });
  const { port } = listener.addr;
  const client = await connect({ hostname, port, timeout: patience });
  const server = await listener.accept();
  server.close();
  assertEquals(await client.read(new Uint8Array(1)), null);
  client.close();
  listener.close();
  await until(() => socketsOf(port, "LISTEN").length === 0, "the listener is closed");
  await until(
    () => socketsOf(port, "TIME-WAIT").some(({ localPort }) => localPort === port),
    "TIME-WAIT on the listener's port",
  );
  return port;
}
