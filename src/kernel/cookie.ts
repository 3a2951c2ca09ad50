/**
 * What a socket is for ever, whatever becomes of its descriptor's number.
 *
 * @module
 */

import { constants } from "./constants.ts";
import type { Kernel } from "./kernel.ts";

const eight = new Uint8Array(8);
const number = new BigUint64Array(eight.buffer);

/** `SO_COOKIE` (Linux 4.6), which no other socket ever gets; `undefined` where the kernel does not tell. */
export function readCookie(kernel: Kernel, fd: number): bigint | undefined {
  const { SOL_SOCKET, SO_COOKIE } = constants;
  if (SO_COOKIE === undefined) return undefined;
  return kernel.getsockopt(fd, SOL_SOCKET!, SO_COOKIE, eight) === 8 ? number[0] : undefined;
}
