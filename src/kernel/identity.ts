/**
 * Tells sockets apart for as long as the system runs; the numbers of their descriptors are used again.
 */

import type { NetAddr } from "./address.ts";
import { constants } from "./constants.ts";
import type { Kernel } from "./kernel.ts";
import { decode, netAddr, SOCKADDR_SIZE } from "./sockaddr.ts";
import { isLittleEndian } from "./system.ts";

/** A value that no other socket has. */
export type Identity = number | string;

const eight = new Uint8Array(8);
const halves = new Uint32Array(eight.buffer);
const [low, high] = isLittleEndian ? [0, 1] : [1, 0];

/** The same number on every system. */
const EBADF = 9;
/** The number on Linux, the only system where SO_COOKIE is read. */
const ENOPROTOOPT = 92;

/**
 * Returns the identity of the socket behind `fd`: its SO_COOKIE (Linux 4.12), which the kernel never
 * gives twice; elsewhere both addresses. 0 means that `fd` is no socket, `undefined` that it is closed.
 */
export function identityOf(kernel: Kernel, fd: number): Identity | undefined {
  const { SOL_SOCKET, SO_COOKIE } = constants;
  if (SO_COOKIE !== undefined) {
    const length = kernel.getsockopt(fd, SOL_SOCKET!, SO_COOKIE, eight);
    // The kernel counts cookies from 1, so they stay below 2^53.
    if (length === 8) return halves[high]! * 2 ** 32 + halves[low]!;
    if (length === -EBADF) return undefined;
    if (length !== -ENOPROTOOPT) return 0;
  }
  const local = addressOf(kernel.getsockname, fd);
  if (local !== undefined) return JSON.stringify([local, addressOf(kernel.getpeername, fd)]);
  return kernel.getsockname(fd, address) === -EBADF ? undefined : 0;
}

const address = new Uint8Array(SOCKADDR_SIZE);

/** The address of one end of the socket, or `undefined` when it has none. */
export function addressOf(ask: Kernel["getsockname"], fd: number): NetAddr | undefined {
  const length = ask(fd, address);
  const found = decode(address, length);
  return found && netAddr(found.hostname, found.port);
}
