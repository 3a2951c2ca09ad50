/** Starts a handshake by system calls, on a socket that was prepared before its SYN leaves. */

import { constants } from "./constants.ts";
import type { Kernel } from "./kernel.ts";
import { sockaddrOf } from "./scope.ts";
import { type KnownSystem, knownSystem } from "./system.ts";
import { succeed, systemError } from "./system_error.ts";
import { openSocket, writeInt } from "./tcp_socket.ts";

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
export function openDialling(kernel: Kernel, address: string, before: BeforeHandshake): number {
  return openSocket(kernel, sockaddrOf(kernel, address, 0), (fd) => before(fd, address));
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
  const sockaddr = sockaddrOf(kernel, address, port);
  return openSocket(kernel, sockaddr, (fd) => {
    before?.(fd, address);
    const result = kernel.connect(fd, sockaddr);
    if (result === 0 || result === -EINPROGRESS[knownSystem()!]! || result === -EINTR) return;
    throw systemError(result, "connect");
  });
}

/** Where a connection comes from. */
export interface Source {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly interface?: string | undefined;
}

/**
 * Binds a socket that is to dial `remote` to its source.
 *
 * @throws {SystemError} Such as `EADDRNOTAVAIL`, `EADDRINUSE`, `ENODEV` or `EPERM`.
 */
export function bindSource(kernel: Kernel, fd: number, source: Source, remote: string): void {
  const { localAddress, localPort } = source;
  const { SOL_SOCKET, SO_BINDTODEVICE, SO_REUSEADDR } = constants;
  const { IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT } = constants;
  if (source.interface !== undefined) {
    const name = new TextEncoder().encode(`${source.interface}\0`);
    succeed(kernel.setsockopt(fd, SOL_SOCKET!, SO_BINDTODEVICE!, name), "setsockopt");
  }
  if (localAddress === undefined && localPort === undefined) return;
  if (localPort !== undefined) {
    // So that a fixed port can be used again while its last connection is in TIME_WAIT.
    succeed(writeInt(kernel, fd, SOL_SOCKET!, SO_REUSEADDR!, 1), "setsockopt");
  } else if (IP_BIND_ADDRESS_NO_PORT !== undefined) {
    // The kernel then picks the port when it knows the peer, so each peer has a whole range of ports.
    writeInt(kernel, fd, IPPROTO_IP!, IP_BIND_ADDRESS_NO_PORT, 1);
  }
  const address = localAddress ?? (remote.includes(":") ? "::" : "0.0.0.0");
  succeed(kernel.bind(fd, sockaddrOf(kernel, address, localPort ?? 0)), "bind");
}
