/** The option `deadPeerTimeout`: where it is supported, and what is set in the kernel for it. */

import type { Handle } from "../adapter.ts";
import { constants } from "../kernel/constants.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { knownSystem, systemName } from "../kernel/system.ts";
import { writeInt } from "../kernel/tcp_socket.ts";
import { adapter } from "../runtime.ts";
import { clampInterval } from "./probing.ts";
import { kernelFor } from "./support.ts";
import { type Obstacle, unsupported } from "../kernel/obstacle.ts";

/** The kernel gives up after about this many unanswered retransmissions (`tcp_retries2`). */
const patience = 15;

/** Why `deadPeerTimeout` is not supported here, or `undefined` where it is. */
export function deadPeerObstacle(): Obstacle | undefined {
  if (knownSystem() !== "linux") {
    const reason = `on ${systemName()} no way is known to tell a peer that is gone from one ` +
      "that is slow while data is in flight";
    return { reason, remedy: "use keepAlive, and userTimeout where it exists" };
  }
  return adapter().loadKernel().obstacle;
}

/**
 * Sets `deadPeerTimeout` on a socket that is not ours. Its writes cannot be watched, so the kernel has to
 * find out alone that the peer is gone.
 *
 * @throws {UnsupportedOptionError} The kernel cannot do it, or not in so short a time.
 */
export function quickenNative(handle: Handle, timeout: number): void {
  const option = "deadPeerTimeout";
  const remedy = "use connect, listen or wrap of this library";
  if (timeout < patience * 1_000) {
    const reason = `on a socket that is not ours it must be at least ${patience * 1_000}`;
    throw unsupported(option, { reason, remedy });
  }
  const interval = clampInterval(timeout / patience);
  if (setInt(kernelFor(option), handle.fd(), "TCP_RTO_MAX_MS", interval) < 0) {
    const reason = "a socket that is not ours needs TCP_RTO_MAX_MS, which this kernel lacks";
    throw unsupported(option, { reason, remedy: `Linux 6.15 or later, or ${remedy}` });
  }
}

/** Sets one of the two TCP options that `deadPeerTimeout` needs beside keepalive. Returns 0 or -errno. */
export function setInt(
  kernel: Kernel,
  fd: number,
  name: "TCP_RTO_MAX_MS" | "TCP_USER_TIMEOUT",
  value: number,
): number {
  return writeInt(kernel, fd, constants.IPPROTO_TCP!, constants[name]!, value);
}
