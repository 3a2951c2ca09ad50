/**
 * `deadPeerTimeout` as an option: where it can be had, and what the kernel is told for it.
 *
 * @module
 */

import type { Handle } from "../adapter.ts";
import { constants } from "../kernel/constants.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { knownSystem, systemName } from "../kernel/system.ts";
import { adapter } from "../runtime.ts";
import { clampInterval } from "./probing.ts";
import { kernelFor } from "./support.ts";
import { type Obstacle, unsupported } from "../kernel/obstacle.ts";

/** The kernel gives up after about so many unanswered retransmissions (`tcp_retries2`). */
const patience = 15;

/** Why there is no `deadPeerTimeout` here, or `undefined`. */
export function deadPeerObstacle(): Obstacle | undefined {
  if (knownSystem() !== "linux") {
    const reason = `on ${systemName()} no way is known to tell a peer that is gone from one ` +
      "that is slow while data is in flight";
    return { reason, remedy: "use keepAlive, and userTimeout where it exists" };
  }
  return adapter().loadKernel().obstacle;
}

/**
 * Prepares a socket of somebody else, whose writes nobody tells us of: the kernel has to do it alone.
 *
 * @throws {UnsupportedOptionError} It cannot, in so little time or at all.
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

const four = new Uint8Array(4);
const number = new Int32Array(four.buffer);

/** Sets one of the two TCP options that it needs beside keepalive. */
export function setInt(
  kernel: Kernel,
  fd: number,
  name: "TCP_RTO_MAX_MS" | "TCP_USER_TIMEOUT",
  value: number,
): number {
  number[0] = value;
  return kernel.setsockopt(fd, constants.IPPROTO_TCP!, constants[name]!, four);
}

/** A socket of ours, which tells its watch of every write. */
export interface Guarded {
  /** The runtime's socket. Unlike `native`, asking for it gives nobody hold of it. */
  readonly inner: object;
  /** We closed it, so nothing can be set or read any more. */
  readonly isClosed: boolean;
  /** The kernel has no connection any more. */
  readonly gone?: boolean;
  /** `deadPeerTimeout` begins, or (`undefined`) other options have replaced it. */
  watchPeer(timeout: number | undefined): void;
}
