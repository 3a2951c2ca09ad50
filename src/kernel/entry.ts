/**
 * One entry of `sockets()`: a TCP socket of this process, which it never confuses with another one.
 */

import { brand } from "../brand.ts";
import type { NetAddr } from "./address.ts";
import { addressOf, type Identity, identityOf } from "./identity.ts";
import type { Kernel } from "./kernel.ts";
import { readTcpState, type TcpState } from "./tcp_info.ts";
import { closed, refused } from "./tcp_socket.ts";

/**
 * A TCP socket of this process, as `sockets()` found it. It stands for that one socket only: once the
 * socket is closed, using the entry throws a {@linkcode SocketError} `EBADF`, even if a new socket has
 * its descriptor by now.
 */
export interface SocketEntry {
  /** The descriptor that the socket had when it was found. */
  readonly fd: number;
  /** `"listener"` when it listens, else `"connection"`. */
  readonly kind: "connection" | "listener";
  /** State of the connection when it was found; `LISTEN` of a listener. */
  readonly state: TcpState;
  /** Address of our end. */
  readonly localAddr: NetAddr;
  /** Address of the peer, once connected. */
  readonly remoteAddr?: NetAddr;
}

/** What `sockets()` returns. Each use duplicates the descriptor, so that nobody closes it meanwhile. */
export class Entry implements SocketEntry {
  readonly fd: number;
  readonly kind: "connection" | "listener";
  readonly state: TcpState;
  readonly localAddr: NetAddr;
  readonly remoteAddr?: NetAddr;
  readonly #identity: Identity;

  private constructor(
    identity: Identity,
    { fd, kind, state, localAddr, remoteAddr }: SocketEntry,
  ) {
    this.#identity = identity;
    this.fd = fd;
    this.kind = kind;
    this.state = state;
    this.localAddr = localAddr;
    if (remoteAddr !== undefined) this.remoteAddr = remoteAddr;
  }

  /** The TCP socket that is `fd` right now, or `undefined` when there is none, or not `identity`. */
  static of(
    kernel: Kernel,
    fd: number,
    identity: Identity | undefined = identityOf(kernel, fd),
  ): Entry | undefined {
    if (!identity) return undefined;
    // Asked first, as only TCP sockets answer this.
    const state = readTcpState(kernel, fd);
    if (typeof state === "number") return undefined;
    const localAddr = addressOf(kernel.getsockname, fd);
    if (localAddr === undefined) return undefined;
    const remoteAddr = addressOf(kernel.getpeername, fd);
    // Another thread may have closed the socket meanwhile, and a new one have got its number.
    if (identityOf(kernel, fd) !== identity) return undefined;
    const kind = state === "LISTEN" ? "listener" : "connection";
    return new Entry(identity, { fd, kind, state, localAddr, remoteAddr });
  }

  /** Tells this socket from all others. */
  get identity(): Identity {
    return this.#identity;
  }

  /**
   * Calls `use` with a duplicate of the descriptor, which is this socket's for certain, even when
   * another thread closes the original at this moment.
   *
   * @throws {Refusal} `EBADF`: the socket is gone. `EMFILE`: no descriptor is free.
   */
  borrow<T>(kernel: Kernel, use: (fd: number) => T): T {
    const copy = kernel.dup(this.fd);
    if (copy < 0) throw refused(copy);
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

brand(Entry, "Entry");
