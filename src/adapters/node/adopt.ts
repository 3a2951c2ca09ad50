/** Makes a transport of a connection that `node:net` has opened already, also that of Deno and Bun. */

import { net } from "./net.ts";
import { hasOnread } from "./onread.ts";
import { listenTo, type NodeTransport } from "./transport.ts";

/**
 * Makes a transport of an open `net.Socket` or `tls.TLSSocket`. Returns `undefined` when `native` is not
 * one, is not open, or is not TCP. Bytes that it has received but not emitted come first.
 *
 * @throws {TypeError} It decodes to text, so bytes may be lost already, or has the option `onread`.
 */
export function adopt(native: object): NodeTransport | undefined {
  if (!(native instanceof net().Socket)) return undefined;
  if (native.connecting || native.destroyed || native.remotePort === undefined) return undefined;
  if (native.readableEncoding !== null) {
    throw new TypeError(
      "Cannot wrap as 'native' must not have an encoding: " +
        `current value is ${native.readableEncoding}`,
    );
  }
  if (hasOnread(native)) {
    throw new TypeError("Cannot wrap as 'native' must not have the option 'onread'");
  }
  native.allowHalfOpen = true;
  native.pause();
  const transport = listenTo(native);
  transport.expose();
  return transport;
}
