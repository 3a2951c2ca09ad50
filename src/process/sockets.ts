/** Lists every TCP socket of this process, also those that other libraries opened. */

import { openDescriptors } from "../kernel/descriptors.ts";
import { Entry, type SocketEntry } from "../kernel/entry.ts";
import { type Identity, identityOf } from "../kernel/identity.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { layoutObstacle } from "../kernel/tcp_info.ts";
import { unsupported } from "../kernel/obstacle.ts";
import { kernelFor } from "../options/support.ts";
import { adapter } from "../runtime.ts";
import { checkFilter, type SocketFilter } from "./filter.ts";

/**
 * Lists the TCP sockets of this process, also those that the runtime or a library hides: of `fetch`, of
 * servers, of database clients. `setOptions`, `getOptions`, `tcpInfo`, `getsockopt` and `setsockopt` take
 * its entries. Linux and macOS.
 *
 * In Deno it needs `--allow-ffi`. Where descriptors cannot be listed, as in Deno without `-A`, it tries one number
 * after the other until 4,096 in a row are closed.
 *
 * @param filter Which sockets. Default: all.
 * @returns One entry for each socket, by descriptor.
 * @throws {TypeError | RangeError} The filter is wrong.
 * @throws {UnsupportedOptionError} The kernel cannot be asked here.
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

/** The system calls. @throws {UnsupportedOptionError} Sockets cannot be listed here. */
export function kernelForSockets(): Kernel {
  const obstacle = layoutObstacle();
  if (obstacle !== undefined) throw unsupported("sockets", obstacle);
  return kernelFor("sockets");
}

/** Returns one entry for each TCP socket. After `dup`, several descriptors are the same socket. */
export function entries(kernel: Kernel): Entry[] {
  const found = new Map<Identity, Entry>();
  for (const fd of openDescriptors(kernel, adapter().list)) {
    const identity = identityOf(kernel, fd);
    if (!identity || found.has(identity)) continue;
    const entry = Entry.of(kernel, fd, identity);
    if (entry !== undefined) found.set(entry.identity, entry);
  }
  return [...found.values()];
}
