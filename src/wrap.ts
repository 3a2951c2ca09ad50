/** `wrap`: makes a connection of a socket that is open already. */

import { describe } from "./check.ts";
import { Connection, taken } from "./connection/connection.ts";
import type { TcpConnection } from "./connection/types.ts";
import type { Timeouts } from "./options/types.ts";
import { adapter } from "./runtime.ts";
import { checkWrap } from "./options/validate.ts";

/** Options of {@linkcode wrap}. */
export interface WrapOptions {
  /** Limit of every read and write in ms, or an object with both; `null` is no limit. Required. */
  timeout: number | null | Timeouts;
}

/**
 * Makes a connection with timeouts of an open one of the runtime: a `Deno.TcpConn` or `Deno.TlsConn`, a
 * Bun socket, a `net.Socket` or `tls.TLSSocket`. From then on the program must not read from or write to
 * the native object. Bytes that it has received and not passed on yet are not lost.
 *
 * In Bun, a TCP connection of `Bun.connect` or `Bun.listen` moves to a new native object, and the given one is
 * closed. That is not possible with TLS: one of `Bun.connect` loses writes that wait when its peer finishes,
 * unless it was opened with `allowHalfOpen: true`, and one accepted by `Bun.listen` is refused.
 *
 * @param native The open connection.
 * @param options The limits.
 * @throws {TypeError} `native` is not an open TCP connection of this runtime, is wrapped already or is the
 * `native` of a connection (also of another copy of this module), has an encoding, or is a TLS socket
 * accepted by `Bun.listen`; or an option is wrong.
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
  if (typeof native === "object" && native !== null) {
    if (native instanceof Connection) refuse("must be the runtime's own socket", "a TcpConnection");
    if (taken.has(native)) refuse("must not be read by this library already", "in use");
    const transport = adapter().adopt(native);
    if (transport !== undefined) {
      taken.add(native).add(transport.native);
      return new Connection(transport, timeouts);
    }
  }
  refuse("must be an open TCP connection of this runtime", describe(native));
}

function refuse(expected: string, value: string): never {
  throw new TypeError(`Cannot wrap as 'native' ${expected}: current value is ${value}`);
}
