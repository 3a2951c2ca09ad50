/** Ends connections, so that pools open new ones. */

import { checkFlag, copyOptions, fail } from "../check.ts";
import type { Entry, SocketEntry } from "../kernel/entry.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { encode } from "../kernel/sockaddr.ts";
import { knownSystem } from "../kernel/system.ts";
import { succeed, type SystemError } from "../kernel/system_error.ts";
import { disconnect, openSocket, SHUT_RDWR } from "../kernel/tcp_socket.ts";
import { checkFilter, criteria, type SocketCriteria, type SocketFilter } from "./filter.ts";
import { entries, kernelForSockets } from "./sockets.ts";

/**
 * Which connections {@linkcode evict} ends: the criteria of `sockets()`, and whether they can still work.
 */
export interface EvictCriteria extends Omit<SocketCriteria, "kind"> {
  /** Always connections, since listeners are never ended. */
  kind?: "connection";
  /** Only connections whose local address no interface has any more, so that nothing can arrive. */
  unreachable?: boolean;
}

/**
 * Ends connections of this process, also those that other libraries opened. It sends RST, so that it does
 * not look like a regular end by the peer, and what is in flight is lost. The owners of the connections
 * see `ECONNRESET` (macOS: the end of the stream), and pools open new ones. A pending request of `fetch`
 * fails in Node.js. Deno and Bun repeat it on a new connection, Bun only if it may be repeated, such as
 * GET. Listeners are never ended. Linux and macOS.
 *
 * @param filter Which connections: criteria, or a function of the entry. An empty object means all.
 * @returns The connections that were ended.
 * @throws {TypeError | RangeError} The filter is missing or wrong, or a criterion is `undefined`.
 * @throws {UnsupportedOptionError} The kernel cannot be asked here.
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
    const given = copyOptions(filter, [...criteria, "unreachable"], verb);
    // A port that somebody forgot to set must not end every connection of the process.
    const forgotten = Object.keys(filter).find((key) => given[key] === undefined);
    if (forgotten !== undefined) {
      fail(TypeError, verb, forgotten, "must have a value, or be left out", undefined);
    }
    if (given.kind !== undefined && given.kind !== "connection") {
      fail(TypeError, verb, "kind", 'must be "connection"', given.kind);
    }
    ({ unreachable, ...rest } = given);
    if (unreachable !== undefined) checkFlag(unreachable, "unreachable", verb);
  }
  const matches = checkFilter(rest, verb);
  const kernel = kernelForSockets();
  const known = new Map<string, boolean>();
  return entries(kernel).filter((entry) =>
    entry.kind === "connection" && entry.state !== "CLOSED" && matches(entry) &&
    (unreachable !== true || isMissing(kernel, entry, known)) && end(kernel, entry)
  );
}

/** Ends a connection. Returns `false` when it has ended meanwhile. */
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

/** Whether no interface has the local address of `entry`. `known` are the answers for addresses so far. */
function isMissing(kernel: Kernel, entry: Entry, known: Map<string, boolean>): boolean {
  const { hostname } = entry.localAddr;
  const missing = known.get(hostname) ?? cannotBind(kernel, hostname);
  known.set(hostname, missing);
  return missing;
}

/** Tries to bind to an address, which needs no permission. */
function cannotBind(kernel: Kernel, hostname: string): boolean {
  const address = encode(hostname, 0);
  try {
    kernel.close(openSocket(kernel, address, (fd) => succeed(kernel.bind(fd, address), "bind")));
    return false;
  } catch (error) {
    // It is ENODEV when the interface of a link-local address is gone. With EADDRINUSE the address exists,
    // but none of its ports is free. With EMFILE nothing can be found out, so nothing is ended.
    return ["EADDRNOTAVAIL", "ENODEV"].includes((error as SystemError).code);
  }
}
