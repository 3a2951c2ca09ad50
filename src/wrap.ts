/**
 * Our connection over a socket that is open already.
 *
 * @module
 */

import { Connection, type TcpConnection } from "./connection.ts";
import type { Timeouts } from "./options.ts";
import { adapter } from "./runtime.ts";
import { checkWrap } from "./validate.ts";

/** Options of {@linkcode wrap}. */
export interface WrapOptions {
  /** Limit of every read and write in ms, or both by name; `null` is none. Required. */
  timeout: number | null | Timeouts;
}

/**
 * Puts an open connection of the runtime under our timeouts: a `Deno.TcpConn` or `Deno.TlsConn`, a
 * Bun socket, a `net.Socket` or `tls.TLSSocket`. From then on the native object must not be read
 * from or written to; what it has received and not handed out yet is not lost.
 *
 * @param native The open connection.
 * @param options The limits.
 * @throws {TypeError} `native` is no open TCP connection of this runtime, or an option is wrong.
 *
 * @example Lossless timeouts for a `Deno.Conn`
 * ```ts ignore
 * import { wrap } from "@holdfast/tcp";
 *
 * using socket = wrap(await Deno.connect({ port: 6379 }), { timeout: 5_000 });
 * ```
 */
export function wrap(native: object, options: WrapOptions): TcpConnection {
  const timeouts = checkWrap(options);
  const transport = typeof native === "object" && native !== null
    ? adapter().adopt(native)
    : undefined;
  if (transport === undefined) {
    throw new TypeError(
      "Cannot wrap as 'native' must be an open TCP connection of this runtime: " +
        `current value is ${typeof native === "object" ? "another object" : String(native)}`,
    );
  }
  return new Connection(transport, timeouts);
}
