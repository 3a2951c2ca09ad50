/**
 * One TCP socket of this process, told from every other one for as long as the system runs.
 *
 * @module
 */

import { SocketError } from "../errors.ts";
import type { NetAddr } from "./address.ts";
import { constants } from "./constants.ts";
import { errnoName } from "./errno.ts";
import type { Kernel } from "./kernel.ts";
import { decode, SOCKADDR_SIZE, unmapped } from "./sockaddr.ts";
import { knownSystem } from "./system.ts";
import { readTcpInfo, type TcpState } from "./tcp_info.ts";
import { closed, isTcp, kindOf } from "./tcp_socket.ts";

/**
 * A TCP socket of this process, as `sockets()` found it. It stands for that one socket for ever: when it
 * is gone, using the entry is a {@linkcode SocketError} `EBADF`, whoever has its number by now.
 *
 * @example The connections to a database
 * ```ts
 * import { connect, listen, type SocketEntry, sockets } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using _socket = await connect({ port: listener.addr.port, timeout: 1_000 });
 * const found: SocketEntry[] = sockets({ remotePort: listener.addr.port });
 * console.log(found[0]?.state); // ESTABLISHED
 * ```
 */
export interface SocketEntry {
  /** The descriptor that the socket had when it was found. */
  readonly fd: number;
  /** Whether it listens. */
  readonly kind: "connection" | "listener";
  /** State of the connection when it was found; `LISTEN` of a listener. */
  readonly state: TcpState;
  /** Address of our end. */
  readonly localAddr: NetAddr;
  /** Address of the peer, once connected. */
  readonly remoteAddr?: NetAddr;
}

/** What tells a socket from all others. */
export type Identity = number | string;

const eight = new Uint8Array(8);
const halves = new Uint32Array(eight.buffer);
const [low, high] = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? [0, 1] : [1, 0];

/**
 * The identity of the socket that is `fd` right now, or `undefined` when that is no socket: SO_COOKIE
 * (Linux 4.12), which is never given twice; elsewhere both addresses.
 */
export function identityOf(kernel: Kernel, fd: number): Identity | undefined {
  const { SOL_SOCKET, SO_COOKIE } = constants;
  if (SO_COOKIE !== undefined) {
    const length = kernel.getsockopt(fd, SOL_SOCKET!, SO_COOKIE, eight);
    // The kernel counts them up from 1, so that they stay below 2^53.
    if (length === 8) return halves[high]! * 2 ** 32 + halves[low]!;
    const code = errnoName(-length);
    if (code === "EBADF" || code === "ENOTSOCK") return undefined;
  }
  const local = addressOf(kernel.getsockname, fd);
  if (local === undefined) return undefined;
  return JSON.stringify([local, addressOf(kernel.getpeername, fd)]);
}

/** The one implementation. Using it goes through a descriptor of its own. */
export class Entry implements SocketEntry {
  readonly fd: number;
  readonly kind: "connection" | "listener";
  readonly state: TcpState;
  readonly localAddr: NetAddr;
  readonly remoteAddr?: NetAddr;
  readonly #identity: Identity;

  private constructor(
    identity: Identity,
    fd: number,
    kind: Entry["kind"],
    state: TcpState,
    localAddr: NetAddr,
    remoteAddr: NetAddr | undefined,
  ) {
    this.#identity = identity;
    this.fd = fd;
    this.kind = kind;
    this.state = state;
    this.localAddr = localAddr;
    if (remoteAddr !== undefined) this.remoteAddr = remoteAddr;
  }

  /** The TCP socket that is `fd` right now, or `undefined` when there is none. */
  static of(kernel: Kernel, fd: number): Entry | undefined {
    const identity = identityOf(kernel, fd);
    if (identity === undefined || isTcp(kernel, fd) !== true) return undefined;
    const localAddr = addressOf(kernel.getsockname, fd);
    if (localAddr === undefined) return undefined;
    const remoteAddr = addressOf(kernel.getpeername, fd);
    const kind = kindOf(kernel, fd);
    const info = readTcpInfo(kernel, fd);
    if (typeof info === "number") return undefined;
    // Another thread may have closed it meanwhile, and a third have opened another one.
    if (identityOf(kernel, fd) !== identity) return undefined;
    return new Entry(identity, fd, kind, info.state, localAddr, remoteAddr);
  }

  /** What tells this socket from all others. */
  get identity(): Identity {
    return this.#identity;
  }

  /**
   * Calls `use` with a descriptor that is this socket's for certain, also when another thread closes
   * the one it was found by in this moment.
   *
   * @throws {SocketError} `EBADF`: the socket is gone. `EMFILE`: no descriptor is free.
   */
  borrow<T>(kernel: Kernel, use: (fd: number) => T): T {
    const copy = kernel.dup(this.fd);
    if (copy < 0) {
      const code = errnoName(-copy);
      throw code === "EBADF" ? closed() : new SocketError({ code, operation: "getsockopt" });
    }
    try {
      if (identityOf(kernel, copy) !== this.#identity) {
        throw closed("the socket is closed, and its descriptor is another's by now");
      }
      return use(copy);
    } finally {
      kernel.close(copy);
    }
  }
}

const address = new Uint8Array(SOCKADDR_SIZE);

function addressOf(ask: Kernel["getsockname"], fd: number): NetAddr | undefined {
  const length = ask(fd, address);
  if (length < 0) return undefined;
  const found = decode(address.subarray(0, length), knownSystem()!);
  return found && { ...found, hostname: unmapped(found.hostname) };
}
