/**
 * Reads and sets options of any socket by the kernel's level and name, for options without a key here.
 */

import { checkInteger, fail } from "../check.ts";
import { type Bytes, bytesOf } from "../memory.ts";
import { refused } from "../kernel/tcp_socket.ts";
import { kernelFor } from "./support.ts";
import { type AnySocket, withHandle } from "./any_socket.ts";

const int = 2 ** 31 - 1;
const longest = 65_536;

/**
 * Reads an option that this library has no name for. Do not read `SO_ERROR`: the kernel reports an error
 * only once, and the `read` that should reject with it would not get it.
 *
 * @param socket As for {@linkcode setOptions}.
 * @param level Such as `constants.IPPROTO_TCP`.
 * @param name Such as `constants.TCP_QUICKACK`.
 * @param length Room for the value in bytes, 1-65536.
 * @returns What the kernel wrote; an `int` is in the byte order of the machine.
 * @throws {TypeError | RangeError} An argument is wrong, or `socket` is not a TCP socket.
 * @throws {UnsupportedOptionError} The kernel is out of reach here.
 * @throws {SocketError} `ENOPROTOOPT` for an unknown option, `EBADF` for a closed socket.
 *
 * @example Read SO_KEEPALIVE
 * ```ts
 * import { connect, constants, getsockopt, listen } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({ port: listener.addr.port, timeout: 1_000, keepAlive: true });
 * const { SOL_SOCKET, SO_KEEPALIVE } = constants;
 * const value = getsockopt(socket, SOL_SOCKET!, SO_KEEPALIVE!);
 * console.log(new DataView(value.buffer).getInt32(0, true) !== 0); // true
 * ```
 */
export function getsockopt(
  socket: AnySocket,
  level: number,
  name: number,
  length: number = 4,
): Bytes {
  const verb = "get a socket option";
  level = checkInteger(level, "level", -int - 1, int, verb);
  name = checkInteger(name, "name", -int - 1, int, verb);
  checkInteger(length, "length", 1, longest, verb);
  const value = new Uint8Array(length);
  return withHandle(socket, verb, (handle) => {
    const result = kernelFor("getsockopt").getsockopt(handle.fd(), level, name, value);
    if (result < 0) throw refused(result);
    return value.slice(0, result);
  });
}

/**
 * Sets an option that this library has no name for.
 *
 * @param socket As for {@linkcode setOptions}.
 * @param level Such as `constants.IPPROTO_TCP`.
 * @param name Such as `constants.TCP_QUICKACK`.
 * @param value An `int`, or the bytes of any other type.
 * @throws {TypeError | RangeError} An argument is wrong, or `socket` is not a TCP socket.
 * @throws {UnsupportedOptionError} The kernel is out of reach here.
 * @throws {SocketError} What the kernel refused; `EBADF` for a closed socket.
 *
 * @example Switch keepalive on
 * ```ts
 * import { connect, constants, listen, setsockopt } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({ port: listener.addr.port, timeout: 1_000 });
 * setsockopt(socket, constants.SOL_SOCKET!, constants.SO_KEEPALIVE!, 1);
 * console.log(socket.getOptions().keepAlive !== false); // true
 * ```
 */
export function setsockopt(
  socket: AnySocket,
  level: number,
  name: number,
  value: number | Uint8Array,
): void {
  const verb = "set a socket option";
  level = checkInteger(level, "level", -int - 1, int, verb);
  name = checkInteger(name, "name", -int - 1, int, verb);
  const bytes = toBytes(value, verb);
  withHandle(socket, verb, (handle) => {
    const result = kernelFor("setsockopt").setsockopt(handle.fd(), level, name, bytes);
    if (result < 0) throw refused(result);
  });
}

function toBytes(value: unknown, verb: string): Uint8Array {
  if (typeof value === "number") {
    checkInteger(value, "value", -int - 1, 2 ** 32 - 1, verb);
    return new Uint8Array(new Int32Array([value]).buffer);
  }
  const bytes = bytesOf(value) ??
    fail(TypeError, verb, "value", "must be a number or a Uint8Array", value);
  if (bytes.length >= 1 && bytes.length <= longest) return bytes;
  throw new RangeError(
    `Cannot ${verb} as 'value' must have 1 to ${longest} bytes: current length is ${bytes.length}`,
  );
}
