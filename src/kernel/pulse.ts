/**
 * The part of Linux's `struct tcp_info` that tells whether the peer is still there. Read often, so
 * into memory that is used again.
 *
 * @module
 */

import type { Kernel } from "./kernel.ts";
import { constants } from "./constants.ts";

/** Through `tcpi_notsent_bytes` (Linux 4.6); what an older kernel leaves out stays 0. */
const bytes = new Uint8Array(148);
const ints = new Uint32Array(bytes.buffer);

/** `TCP_CLOSE` of `enum` in `include/net/tcp_states.h`. */
const TCP_CLOSE = 7;

/** What one look at a connection shows; the next look overwrites it. */
export const pulse = {
  /** The kernel has ended the connection. */
  closed: false,
  /** Segments sent and not acknowledged. */
  unacknowledged: 0,
  /** Bytes that wait to be sent. */
  notSent: 0,
  /** Timeouts in a row of what is unacknowledged. */
  retransmits: 0,
  /** Keepalive or window probes in a row that were not answered. */
  probes: 0,
  /** Time since anything came from the peer, ms. */
  silence: 0,
};

/** Looks at the connection `fd`. `false`: the kernel did not say. */
export function takePulse(kernel: Kernel, fd: number): boolean {
  bytes.fill(0);
  if (kernel.getsockopt(fd, constants.IPPROTO_TCP!, constants.TCP_INFO!, bytes) < 60) return false;
  pulse.closed = bytes[0] === TCP_CLOSE;
  pulse.retransmits = bytes[2]!;
  pulse.probes = bytes[3]!;
  pulse.unacknowledged = ints[6]!;
  // Data that comes with nothing new acknowledged does not count as an acknowledgement.
  pulse.silence = Math.min(ints[13]!, ints[14]!);
  pulse.notSent = ints[36]!;
  return true;
}
