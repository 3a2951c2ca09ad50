/**
 * Finds the descriptor of a socket of which only the addresses are known, by asking the kernel for the
 * addresses of open descriptors. Where the result would not be certain, nothing is found.
 */

import type { Kernel, KernelAccess } from "./kernel.ts";
import type { NetAddr } from "./address.ts";
import { constants } from "./constants.ts";
import { type Identity, identityOf } from "./identity.ts";
import { unsupported } from "./obstacle.ts";
import { AF_INET, AF_INET6, familyIn, isMapped, parse, SOCKADDR_SIZE, value4 } from "./sockaddr.ts";
import { builtin, type KnownSystem, knownSystem } from "./system.ts";
import { closed, kindOf, readInt, verifyTcp } from "./tcp_socket.ts";

/** Returns the names in a directory, or throws when it may not. */
export type ListDirectory = (path: string) => string[];

/** Lists a directory, in runtimes that never prompt. */
export const list: ListDirectory = (path) => builtin("node:fs").readdirSync(path);

/** The descriptor that was found for an object, and the identity of the socket that it was then. */
interface Found {
  readonly fd: number;
  readonly identity: Identity;
  /** It has not been verified yet that this socket is the object's. */
  guessed: boolean;
}

/**
 * A new descriptor gets the lowest free number, so a young socket has one just below it. So many
 * numbers are tried before all descriptors are.
 */
const nearby = 32;

/**
 * Returns a function that returns the search, which needs system calls.
 *
 * @throws {UnsupportedOptionError} By that function: there are none.
 */
export function searchBy(loadKernel: () => KernelAccess, list: ListDirectory): () => Descriptors {
  let kept: Descriptors | undefined;
  return () => {
    if (kept !== undefined) return kept;
    const { kernel, obstacle } = loadKernel();
    if (kernel === undefined) throw unsupported("fd", obstacle);
    return kept = new Descriptors(kernel, list);
  };
}

/** Looks for descriptors of this process. */
export class Descriptors {
  readonly #kernel: Kernel;
  readonly #list: ListDirectory | undefined;
  readonly #local: Uint8Array = new Uint8Array(SOCKADDR_SIZE);
  readonly #remote: Uint8Array = new Uint8Array(SOCKADDR_SIZE);
  readonly #family6: number = AF_INET6[knownSystem()!];
  /** Descriptors of connections by their addresses, as the last walk saw them. Verified before use. */
  readonly #index: Map<string, number> = new Map();
  readonly #found: WeakMap<object, Found> = new WeakMap();
  #last = 0;

  /** `list` lists a directory such as `/proc/self/fd`; it is left out where nothing may be read. */
  constructor(kernel: Kernel, list?: ListDirectory) {
    this.#kernel = kernel;
    this.#list = list;
  }

  /**
   * Returns the descriptor of `owner`'s connection. It is searched once, by its addresses, which no two
   * open connections share unless they are link-local. But a peer that has reset the connection may
   * have connected again from the same port: `isOwners` tells the two sockets apart. Without `isOwners`
   * the search fails when another socket could be the one that is looked for.
   *
   * @throws {Refusal} `EBADF`: the socket is closed, or cannot be found for certain.
   * @throws {TypeError} Several connections have these addresses, on different links.
   */
  connection(
    owner: object,
    local: NetAddr,
    remote: NetAddr,
    isOwners: (fd: number) => boolean = (fd) => this.#isOnly(fd, local),
  ): number {
    const found = this.#found.get(owner);
    const known = this.#known(found, local);
    if (known !== undefined) return known;
    const key = keyOf(local) + keyOf(remote);
    const fd = isLinkLocal(key)
      ? this.#only((fd) => this.#isConnection(fd, key), "connection", local)
      : this.#findConnection(key);
    if (fd === undefined) throw closed("no descriptor of this process has the socket's addresses");
    verifyTcp(this.#kernel, fd);
    // What was found first may have been a duplicate, which is closed by now.
    const certain = found?.guessed === false;
    if (certain ? identityOf(this.#kernel, fd) !== found.identity : !isOwners(fd)) {
      throw closed("another socket may have its addresses by now");
    }
    this.remember(owner, fd);
    return this.#last = fd;
  }

  /**
   * Whether `fd` is for certain the socket's that has this setter. If the setter does not show it, as while a
   * write waits, every other descriptor is looked at.
   */
  isCertain(fd: number, local: NetAddr, setNoDelay: (on: boolean) => unknown): boolean {
    try {
      if (follows(this.#kernel, fd, setNoDelay)) return true;
    } catch {
      // The setter has failed.
    }
    return this.#isOnly(fd, local);
  }

  /**
   * The descriptor of the listener at this address, for an `owner` that is open.
   *
   * @throws {TypeError} Several listeners share the address, and nothing tells them apart.
   */
  listener(owner: object, address: NetAddr): number {
    const known = this.#known(this.#found.get(owner), address);
    if (known !== undefined) return known;
    const key = keyOf(address);
    const fd = this.#only((fd) => this.#isListener(fd, key), "listener", address);
    if (fd === undefined) throw closed("no descriptor of this process listens at its address");
    this.remember(owner, fd);
    return fd;
  }

  /** Notes that the socket behind `fd` belongs to `owner`. */
  remember(owner: object, fd: number): void {
    const identity = identityOf(this.#kernel, fd);
    if (identity !== undefined) this.#found.set(owner, { fd, identity, guessed: false });
  }

  /** Notes that `fd`, which is the socket `identity`, probably belongs to `owner`. */
  guess(owner: object, fd: number, identity: Identity): void {
    this.#found.set(owner, { fd, identity, guessed: true });
  }

  /**
   * The descriptor that was found before, if it still is the same socket. A guess becomes certain when
   * that socket has the local address of its owner.
   */
  #known(found: Found | undefined, local: NetAddr): number | undefined {
    if (found === undefined) return undefined;
    const { fd, identity, guessed } = found;
    if (identityOf(this.#kernel, fd) !== identity) return undefined;
    if (guessed) {
      const length = this.#kernel.getsockname(fd, this.#local);
      if (this.#keyOf(this.#local, length) !== keyOf(local)) return undefined;
      found.guessed = false;
    }
    return fd;
  }

  /**
   * Whether no other socket of this process has lost its connection from the same local address, which
   * it keeps. If there is one, it may be the one that is looked for, and `fd` a younger socket.
   */
  #isOnly(fd: number, local: NetAddr): boolean {
    const key = keyOf(local);
    const identity = identityOf(this.#kernel, fd);
    for (const other of this.#open()) {
      const length = this.#kernel.getsockname(other, this.#local);
      if (length < 0 || this.#keyOf(this.#local, length) !== key) continue;
      if (this.#kernel.getpeername(other, this.#remote) >= 0) continue;
      if (kindOf(this.#kernel, other) === "listener") continue;
      if (identityOf(this.#kernel, other) !== identity) return false;
    }
    return true;
  }

  #findConnection(key: string): number | undefined {
    const guess = this.#index.get(key);
    if (guess !== undefined && this.#isConnection(guess, key)) return guess;
    for (let fd = this.#last; fd < this.#last + nearby; fd++) {
      if (this.#isConnection(fd, key)) return fd;
    }
    const free = this.#kernel.lowestFree();
    for (let fd = free - 1; fd >= 0 && fd > free - nearby; fd--) {
      if (this.#isConnection(fd, key)) return fd;
    }
    return this.#walk(key);
  }

  /** Returns the only socket that matches. @throws {TypeError} There are several. */
  #only(
    matches: (fd: number) => boolean,
    kind: "listener" | "connection",
    { hostname, port }: NetAddr,
  ): number | undefined {
    // After `dup`, several descriptors are the same socket, so sockets are counted and not numbers.
    const all = new Map<Identity | undefined, number>();
    for (const fd of this.#open()) if (matches(fd)) all.set(identityOf(this.#kernel, fd), fd);
    if (all.size > 1) {
      throw new TypeError(
        `Cannot tell which descriptor is the ${kind}'s as several ${kind}s of this process share ` +
          `its address: current value is ${hostname}:${port}`,
      );
    }
    const [fd] = all.values();
    return fd;
  }

  /** Searches all descriptors for `key`, and renews the index on the way. */
  #walk(key: string): number | undefined {
    let match: number | undefined;
    this.#index.clear();
    for (const fd of this.#open()) {
      const other = this.#connectionKey(fd);
      if (other === undefined) continue;
      this.#index.set(other, fd);
      if (other === key) match = fd;
    }
    return match;
  }

  #open(): Iterable<number> {
    return openDescriptors(this.#kernel, this.#list);
  }

  #isConnection(fd: number, key: string): boolean {
    return this.#connectionKey(fd) === key;
  }

  #isListener(fd: number, key: string): boolean {
    const length = this.#kernel.getsockname(fd, this.#local);
    if (length < 0 || this.#keyOf(this.#local, length) !== key) return false;
    try {
      verifyTcp(this.#kernel, fd);
    } catch {
      return false;
    }
    return kindOf(this.#kernel, fd) === "listener";
  }

  #connectionKey(fd: number): string | undefined {
    const kernel = this.#kernel;
    const local = this.#keyOf(this.#local, kernel.getsockname(fd, this.#local));
    if (local === undefined) return undefined;
    const remote = this.#keyOf(this.#remote, kernel.getpeername(fd, this.#remote));
    return remote === undefined ? undefined : local + remote;
  }

  /** The same key as {@linkcode keyOf} makes, from the sockaddr that the kernel wrote. */
  #keyOf(bytes: Uint8Array, length: number): string | undefined {
    const port = (bytes[2]! << 8) | bytes[3]!;
    if (length === 16 && familyIn(bytes) === AF_INET) return text(bytes, 4, 8, port);
    if (length !== 28 || familyIn(bytes) !== this.#family6) return undefined;
    return text(bytes, isMapped(bytes, 8) ? 20 : 8, 24, port);
  }
}

/** Whether TCP_NODELAY of a descriptor changes with a socket's own setter, so that it is the socket's. */
export function follows(
  kernel: Kernel,
  fd: number,
  setNoDelay: (on: boolean) => unknown,
): boolean {
  const { IPPROTO_TCP, TCP_NODELAY } = constants;
  const noDelay = () => readInt(kernel, fd, IPPROTO_TCP!, TCP_NODELAY!) > 0;
  const before = noDelay();
  setNoDelay(!before);
  const changed = noDelay() !== before;
  setNoDelay(before);
  return changed;
}

/** The directory in which a system lists the descriptors of the current process. */
const folders: Partial<Record<KnownSystem, string>> = { linux: "/proc/self/fd", darwin: "/dev/fd" };

/**
 * Where descriptors cannot be listed, a search ends when so many in a row are closed: new ones are the
 * lowest free numbers, and the limit may be a billion.
 */
export const widestGap = 4_096;

/** The descriptors of this process, in ascending order. */
export function openDescriptors(kernel: Kernel, list: ListDirectory | undefined): Iterable<number> {
  return listed(list)?.sort((a, b) => a - b) ?? tried(kernel);
}

/** The descriptors that are found by trying one number after the other. */
function* tried(kernel: Kernel): Iterable<number> {
  const limit = kernel.descriptorLimit();
  for (let fd = 0, open = 0; fd < limit && fd - open <= widestGap; fd++) {
    if (identityOf(kernel, fd) === undefined) continue;
    open = fd;
    yield fd;
  }
}

/** The descriptors of this process, or `undefined` where they cannot be listed. */
export function listed(list: ListDirectory | undefined): number[] | undefined {
  const folder = folders[knownSystem() as KnownSystem];
  if (list === undefined || folder === undefined) return undefined;
  try {
    return list(folder).map(Number);
  } catch {
    // The directory is not mounted, or may not be read.
    return undefined;
  }
}

/** Whether the key's first address is in fe80::/10. */
function isLinkLocal(key: string): boolean {
  return (key.charCodeAt(1) & 0xffc0) === 0xfe80;
}

/** A key for an address and port. IPv4-mapped IPv6 has the key of its IPv4 address. */
function keyOf({ hostname, port }: NetAddr): string {
  // Without an array, which costs Deno as much as two system calls.
  const value = value4(hostname);
  if (value >= 0) return String.fromCharCode(port, value >>> 16, value & 0xffff) + "/";
  const [literal = ""] = hostname.split("%", 1);
  const bytes = parse(literal);
  if (bytes === undefined) {
    throw new TypeError(`Cannot find the socket as ${hostname} is no address`);
  }
  return text(bytes, isMapped(bytes) ? 12 : 0, bytes.length, port);
}

function text(bytes: Uint8Array, from: number, to: number, port: number): string {
  let key = String.fromCharCode(port);
  for (let i = from; i < to; i += 2) key += String.fromCharCode((bytes[i]! << 8) | bytes[i + 1]!);
  return key + "/";
}
