/**
 * Our connection over a socket that is open already.
 *
 * @module
 */

import { Connection, type TcpConnection } from "./connection/connection.ts";
import type { Timeouts } from "./options/types.ts";
import { adapter } from "./runtime.ts";
import { checkWrap } from "./options/validate.ts";

/**
 * Options of {@linkcode wrap}.
 *
 * @example Limits by name
 * ```ts
 * import type { WrapOptions } from "@holdfast/tcp";
 *
 * const options: WrapOptions = { timeout: { read: 30_000, write: 5_000 } };
 * console.log(typeof options.timeout); // object
 * ```
 */
export interface WrapOptions {
  /** Limit of every read and write in ms, or both by name; `null` is none. Required. */
  timeout: number | null | Timeouts;
}

/**
 * Puts an open connection of the runtime under our timeouts: a `Deno.TcpConn` or `Deno.TlsConn`, a
 * Bun socket, a `net.Socket` or `tls.TLSSocket`. From then on the native object must not be read
 * from or written to; what it has received and not handed out yet is not lost.
 *
 * Sockets accepted by `Bun.listen` share their handlers: a TCP one moves to a native object of its
 * own and the given one closes; a TLS one is refused.
 *
 * @param native The open connection.
 * @param options The limits.
 * @throws {TypeError} `native` is no open TCP connection of this runtime, has an encoding, is a TLS
 * socket accepted by `Bun.listen`, or an option is wrong.
 *
 * @example Lossless timeouts for a socket of `node:net`
 * ```ts
 * import { once } from "node:events";
 * import { connect, createServer } from "node:net";
 * import { TimeoutError, wrap } from "@holdfast/tcp";
 *
 * const server = createServer().listen(0, "127.0.0.1");
 * await once(server, "listening");
 * const native = connect((server.address() as { port: number }).port, "127.0.0.1");
 * await once(native, "connect");
 *
 * using socket = wrap(native, { timeout: 20 });
 * const late = await socket.read(new Uint8Array(64)).catch((error) => error);
 * console.log(late instanceof TimeoutError); // true
 * server.close();
 * ```
 */
export function wrap(native: object, options: WrapOptions): TcpConnection {
  const timeouts = checkWrap(options);
  const transport = typeof native === "object" && native !== null && !isOurs(native)
    ? adapter().adopt(native)
    : undefined;
  if (transport === undefined) {
    throw new TypeError(
      "Cannot wrap as 'native' must be an open TCP connection of this runtime: " +
        `current value is ${typeof native === "object" ? "another object" : String(native)}`,
    );
  }
  wrapped.add(native).add(transport.native);
  return new Connection(transport, timeouts);
}

/** What is wrapped already: two connections would take bytes from each other. */
const wrapped = new WeakSet<object>();

function isOurs(native: object): boolean {
  if (!wrapped.has(native)) return native instanceof Connection;
  throw new TypeError("Cannot wrap as 'native' must not be wrapped already");
}
