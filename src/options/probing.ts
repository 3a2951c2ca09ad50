/**
 * How often to probe a peer, so that its silence is certain after a given time.
 *
 * @module
 */

const longestSeconds = 32_767;

/** An outage shorter than this part of `deadPeerTimeout` is never the end. */
const bearable = 0.75;

/**
 * Keepalive values in ms for an idle connection.
 *
 * The peer was last heard from up to one `idle` before an outage begins, and the last probe leaves
 * `(count - 1) * interval` after the first. So these probes have to span 3/4 of `timeout`, and what is
 * left of it is the idle time, which decides how many probes an idle connection costs. Whole seconds
 * leave no choice below 4 s: there the end comes in time, and shorter outages are the end.
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

/** Longest time between two retransmissions or window probes, ms: as `TCP_RTO_MAX_MS` takes it. */
export function probeInterval(timeout: number): number {
  return clampInterval(timeout / 8);
}

/** The range of `TCP_RTO_MAX_MS`. */
export function clampInterval(ms: number): number {
  return Math.min(Math.max(Math.floor(ms), 1_000), longestInterval);
}
