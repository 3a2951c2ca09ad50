/**
 * Starts a handshake by system calls, on a socket that was prepared before its SYN leaves.
 *
 * @module
 */

import { constants } from "./constants.ts";
import type { Kernel } from "./kernel.ts";
import { encode, familyOf, SOCK_STREAM } from "./sockaddr.ts";
import { withScopeNumber } from "./scope.ts";
import { type KnownSystem, knownSystem } from "./system.ts";
import { succeed, systemError } from "./system_error.ts";

const EINPROGRESS: Partial<Record<KnownSystem, number>> = { linux: 115, darwin: 36, freebsd: 36 };
/** A connect(2) that was interrupted is no failure: its handshake goes on. */
const EINTR = 4;

/** Prepares a descriptor before it dials `address`. Throws what the kernel refused. */
export type BeforeHandshake = (fd: number, address: string) => void;

/**
 * Returns a descriptor that is ready to dial `address`, an IP literal. The caller has to close it.
 *
 * @throws {SystemError} What the kernel refused; nothing is left open then.
 */
export function openDialling(
  kernel: Kernel,
  address: string,
  before?: BeforeHandshake,
  sockaddr: Uint8Array = encode(withScopeNumber(address, kernel), 0, knownSystem()!),
): number {
  const family = familyOf(sockaddr, knownSystem()!);
  const fd = succeed(kernel.socket(family, SOCK_STREAM, 0), "socket");
  try {
    before?.(fd, address);
    return fd;
  } catch (error) {
    kernel.close(fd);
    throw error;
  }
}

/**
 * Does what {@linkcode openDialling} does, and starts the handshake.
 *
 * @throws {SystemError} What the kernel refused at once; nothing is left open then.
 */
export function startHandshake(
  kernel: Kernel,
  address: string,
  port: number,
  before?: BeforeHandshake,
): number {
  const system = knownSystem()!;
  const sockaddr = encode(withScopeNumber(address, kernel), port, system);
  const fd = openDialling(kernel, address, before, sockaddr);
  const result = kernel.connect(fd, sockaddr);
  if (result === 0 || result === -EINPROGRESS[system]! || result === -EINTR) return fd;
  kernel.close(fd);
  throw systemError(result, "connect");
}

/** Where a connection comes from. */
export interface Source {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  /** Name of a network interface. */
  readonly interface?: string | undefined;
}

/**
 * Binds a socket that is to dial `remote` to its source.
 *
 * @throws {SystemError} Such as `EADDRNOTAVAIL`, `EADDRINUSE`, `ENODEV` or `EPERM`.
 */
export function bindSource(kernel: Kernel, fd: number, source: Source, remote: string): void {
  const { localAddress, localPort } = source;
  const { SOL_SOCKET, SO_BINDTODEVICE, SO_REUSEADDR, IPPROTO_IP } = constants;
  const set = (level: number, name: number, value: Uint8Array) =>
    succeed(kernel.setsockopt(fd, level, name, value), "setsockopt");
  if (source.interface !== undefined) {
    set(SOL_SOCKET!, SO_BINDTODEVICE!, new TextEncoder().encode(`${source.interface}\0`));
  }
  if (localAddress === undefined && localPort === undefined) return;
  if (localPort !== undefined) {
    // So that a fixed port can be used again while its last connection is in TIME_WAIT.
    set(SOL_SOCKET!, SO_REUSEADDR!, one);
  } else if (constants.IP_BIND_ADDRESS_NO_PORT !== undefined) {
    // The kernel then picks the port when it knows the peer, so each peer has a whole range of ports.
    kernel.setsockopt(fd, IPPROTO_IP!, constants.IP_BIND_ADDRESS_NO_PORT, one);
  }
  const address = localAddress ?? (remote.includes(":") ? "::" : "0.0.0.0");
  succeed(
    kernel.bind(fd, encode(withScopeNumber(address, kernel), localPort ?? 0, knownSystem()!)),
    "bind",
  );
}

const one = new Uint8Array(new Int32Array([1]).buffer);
