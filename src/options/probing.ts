/**
 * Computes how often to probe a peer, so that after a given time its silence means that it is gone.
 */

const longestSeconds = 32_767;

/** An outage shorter than this part of `deadPeerTimeout` never ends a connection. */
const bearable = 0.75;

/**
 * Returns keepalive values in ms for an idle connection.
 *
 * An outage that lasts 3/4 of `timeout` must not end the connection, so the time from the first probe to
 * the last, `(count - 1) * interval`, has to be that long. The rest of `timeout` is the idle time; the
 * longer it is, the fewer probes an idle connection sends. As the kernel counts whole seconds, this is
 * impossible below 4 s: there the end comes in time, but shorter outages also end the connection.
 */
export function keepAliveFor(
  timeout: number,
): { idle: number; interval: number; count: number } {
  const total = timeout / 1_000;
  const interval = Math.min(Math.max(Math.floor(total / 16), 1), longestSeconds);
  const spanning = 1 + Math.ceil(bearable * total / interval);
  const count = Math.min(total < 4 ? Math.floor(total) : spanning, 127);
  const idle = Math.min(Math.max(Math.floor(total - interval * count), 1), longestSeconds);
  return { idle: idle * 1_000, interval: interval * 1_000, count };
}

/** Largest value of `TCP_RTO_MAX_MS`, and its default. */
export const longestInterval = 120_000;

/** The longest time between two retransmissions or window probes, ms: a value for `TCP_RTO_MAX_MS`. */
export function probeInterval(timeout: number): number {
  return clampInterval(timeout / 8);
}

/** Brings `ms` into the range of `TCP_RTO_MAX_MS`. */
export function clampInterval(ms: number): number {
  return Math.min(Math.max(Math.floor(ms), 1_000), longestInterval);
}
