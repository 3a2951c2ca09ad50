/** How often the kernel probes the peer of a socket that is watched, maybe by several at once. */

import { shared } from "../brand.ts";
import type { Identity } from "../kernel/identity.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { setInt } from "./dead_peer.ts";
import { longestInterval } from "./probing.ts";

/** Someone who needs probes at least this often, ms. */
interface Hasty {
  readonly interval: number;
}

/** Who needs probes of which socket, in all copies of this module. */
const needs = shared("probes", () => new Map<Identity, Set<Hasty>>());

/**
 * Makes the kernel retransmit or probe at least as often as all who need it of this socket, until
 * {@linkcode relax}. Before Linux 6.15 there is no such option.
 */
export function quicken(kernel: Kernel, fd: number, identity: Identity, one: Hasty): void {
  const all = needs.get(identity) ?? new Set();
  needs.set(identity, all.add(one));
  set(kernel, fd, all);
}

/** Takes that back. Without `fd`, the socket is left as it is. Idempotent. */
export function relax(kernel: Kernel, fd: number, identity: Identity, one: Hasty): void {
  const all = needs.get(identity);
  if (!all?.delete(one)) return;
  if (all.size === 0) needs.delete(identity);
  if (fd >= 0) set(kernel, fd, all);
}

function set(kernel: Kernel, fd: number, all: Set<Hasty>): void {
  let interval = longestInterval;
  for (const one of all) interval = Math.min(interval, one.interval);
  setInt(kernel, fd, "TCP_RTO_MAX_MS", interval);
}
