/**
 * Ending connections, so that pools open new ones.
 *
 * @module
 */

import { copyOptions, fail } from "../check.ts";
import type { Entry, SocketEntry } from "../kernel/entry.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { encode, familyOf, SOCK_STREAM } from "../kernel/sockaddr.ts";
import { knownSystem } from "../kernel/system.ts";
import { disconnect } from "../kernel/tcp_socket.ts";
import { checkFilter, criteria, type SocketCriteria, type SocketFilter } from "./filter.ts";
import { entries, kernelForSockets } from "./sockets.ts";

/**
 * Which connections {@linkcode evict} ends: criteria as for `sockets()`, and whether they can still work.
 *
 * @example What a change of network has left behind
 * ```ts
 * import { evict, type EvictCriteria } from "@holdfast/tcp";
 *
 * const criteria: EvictCriteria = { unreachable: true, remotePort: 443 };
 * console.log(evict(criteria).length); // 0
 * ```
 */
export interface EvictCriteria extends Omit<SocketCriteria, "kind"> {
  /** Only connections whose local address no interface has any more, so that no answer can come. */
  unreachable?: boolean;
}

/**
 * Ends connections of this process, whoever opened them: with RST, so that it never looks like the peer's
 * regular end, and what is on the way is lost. Their owners see `ECONNRESET` (macOS: the end of the
 * stream), and pools open new connections. A request that is under way on a connection of `fetch` fails in
 * Node.js; Deno and Bun repeat it on a new one, Bun only those that may be repeated, such as GET. Never
 * ends a listener. Linux and macOS.
 *
 * @param filter Which connections: criteria, or a function of the entry. An object without criteria means all.
 * @returns What was ended.
 * @throws {TypeError | RangeError} The filter is missing or wrong.
 * @throws {UnsupportedOptionError} The kernel is out of reach here.
 *
 * @example After a change of network
 * ```ts
 * import { evict } from "@holdfast/tcp";
 *
 * for (const { remoteAddr } of evict({ unreachable: true })) console.log("ended", remoteAddr);
 * ```
 */
export function evict(filter: EvictCriteria | ((entry: SocketEntry) => boolean)): SocketEntry[] {
  const verb = "evict";
  let unreachable: unknown;
  let rest: SocketFilter = filter as SocketFilter;
  if (typeof filter !== "function") {
    const keys = [...criteria.filter((key) => key !== "kind"), "unreachable"];
    ({ unreachable, ...rest } = copyOptions(filter, keys, verb));
    if (unreachable !== undefined && typeof unreachable !== "boolean") {
      fail(TypeError, verb, "unreachable", "must be a boolean", unreachable);
    }
  }
  const matches = checkFilter(rest, verb);
  const kernel = kernelForSockets();
  const lost = unreachable === true ? new Lost(kernel) : undefined;
  return entries(kernel).filter((entry) =>
    entry.kind === "connection" && entry.state !== "CLOSED" && matches(entry) &&
    (lost === undefined || lost.has(entry)) && end(kernel, entry)
  );
}

const SHUT_RDWR = 2;

/** Returns `false` when it has ended meanwhile. */
function end(kernel: Kernel, entry: Entry): boolean {
  try {
    entry.borrow(kernel, (fd) => {
      if (knownSystem() === "linux") disconnect(kernel, fd);
      else kernel.shutdown(fd, SHUT_RDWR);
    });
    return true;
  } catch {
    return false;
  }
}

/** Local addresses that no interface has. The kernel binds to none of them; asking it needs no permission. */
class Lost {
  readonly #kernel: Kernel;
  readonly #known: Map<string, boolean> = new Map();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  has({ localAddr: { hostname } }: Entry): boolean {
    let lost = this.#known.get(hostname);
    if (lost === undefined) this.#known.set(hostname, lost = this.#cannotBind(hostname));
    return lost;
  }

  #cannotBind(hostname: string): boolean {
    const system = knownSystem()!;
    const address = encode(hostname, 0, system);
    const fd = this.#kernel.socket(familyOf(address, system), SOCK_STREAM, 0);
    // Without a descriptor nothing is known, and nothing is ended.
    if (fd < 0) return false;
    const result = this.#kernel.bind(fd, address);
    this.#kernel.close(fd);
    // EADDRNOTAVAIL, whatever its number: a port is left to the kernel and the address is one.
    return result < 0;
  }
}
