/**
 * Every TCP socket of this process, whoever opened it.
 *
 * @module
 */

import { listed, upTo } from "../kernel/descriptors.ts";
import { Entry, type SocketEntry } from "../kernel/entry.ts";
import type { Identity } from "../kernel/identity.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { layoutObstacle } from "../kernel/tcp_info.ts";
import { unsupported } from "../kernel/obstacle.ts";
import { kernelFor } from "../options/support.ts";
import { adapter } from "../runtime.ts";
import { checkFilter, type SocketFilter } from "./filter.ts";

/**
 * Lists the TCP sockets of this process, also those that the runtime or a library hides: of `fetch`, of
 * servers, of database clients. Each entry can be given to `setOptions`, `getOptions`, `tcpInfo`,
 * `getsockopt` and `setsockopt`. Linux and macOS.
 *
 * In Deno it needs `--allow-ffi`. It looks at every possible descriptor there, which takes longer, unless all
 * permissions are granted (`-A`): Deno lets nobody else list `/proc/self/fd`.
 *
 * @param filter Which sockets. Default: all.
 * @returns One entry for each socket, by descriptor.
 * @throws {TypeError | RangeError} The filter is wrong.
 * @throws {UnsupportedOptionError} The kernel is out of reach here.
 *
 * @example Keepalive for a connection that `fetch` keeps
 * ```ts
 * import { getOptions, setOptions, sockets } from "@holdfast/tcp";
 * import { createServer } from "node:http";
 * import { once } from "node:events";
 *
 * const server = createServer((_request, response) => response.end("hello"));
 * server.listen(0, "127.0.0.1");
 * await once(server, "listening");
 * const { port } = server.address() as { port: number };
 * await (await fetch(`http://127.0.0.1:${port}/`)).text();
 *
 * for (const entry of sockets({ remotePort: port })) {
 *   setOptions(entry, { keepAlive: { idle: 60_000, interval: 10_000, count: 3 } });
 *   console.log(getOptions(entry).keepAlive); // { idle: 60000, interval: 10000, count: 3 }
 * }
 * server.close();
 * server.closeAllConnections();
 * ```
 */
export function sockets(filter?: SocketFilter): SocketEntry[] {
  const matches = checkFilter(filter, "list sockets");
  return entries(kernelForSockets()).filter((entry) => matches(entry));
}

/** The system calls. @throws {UnsupportedOptionError} There is no way to list sockets here. */
export function kernelForSockets(): Kernel {
  const obstacle = layoutObstacle();
  if (obstacle !== undefined) throw unsupported("sockets", obstacle);
  return kernelFor("sockets");
}

/** One entry for each TCP socket: several descriptors may be one socket, after `dup`. */
export function entries(kernel: Kernel): Entry[] {
  const found = new Map<Identity, Entry>();
  for (const fd of descriptors(kernel)) {
    const entry = Entry.of(kernel, fd);
    if (entry !== undefined && !found.has(entry.identity)) found.set(entry.identity, entry);
  }
  return [...found.values()];
}

/** Numbers that may be open, in ascending order. */
export function descriptors(kernel: Kernel): Iterable<number> {
  const open = listed(adapter().list);
  return open?.sort((a, b) => a - b) ?? upTo(kernel.descriptorLimit());
}
