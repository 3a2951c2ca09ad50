/**
 * A handshake started by system calls, for a runtime that takes the descriptor over.
 *
 * @module
 */

import type { Kernel } from "./kernel.ts";
import { encode, familyOf, SOCK_STREAM } from "./sockaddr.ts";
import { withScopeNumber } from "./scope.ts";
import { type KnownSystem, knownSystem } from "./system.ts";
import { systemError } from "./system_error.ts";

const EINPROGRESS: Partial<Record<KnownSystem, number>> = { linux: 115, darwin: 36, freebsd: 36 };
/** After an interrupted connect(2) the handshake goes on all the same. */
const EINTR = 4;

/**
 * A descriptor that is connecting to `address`, an IP literal; it is the caller's to close.
 *
 * @throws {SystemError} What the kernel refused at once; nothing is left open then.
 */
export function startHandshake(kernel: Kernel, address: string, port: number): number {
  const system = knownSystem()!;
  const sockaddr = encode(withScopeNumber(address), port, system);
  const fd = kernel.socket(familyOf(sockaddr, system), SOCK_STREAM, 0);
  if (fd < 0) throw systemError(fd, "socket");
  const result = kernel.connect(fd, sockaddr);
  if (result === 0 || result === -EINPROGRESS[system]! || result === -EINTR) return fd;
  kernel.close(fd);
  throw systemError(result, "connect");
}
