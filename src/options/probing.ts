/**
 * How often to probe a peer, so that its silence is certain after a given time.
 *
 * @module
 */

const longestSeconds = 32_767;

/** Keepalive values in ms that end an idle connection within `timeout`, half of it spent probing. */
export function keepAliveFor(
  timeout: number,
): { idle: number; interval: number; count: number } {
  const total = Math.floor(timeout / 1_000);
  const interval = Math.min(Math.max(Math.floor(total / 8), 1), longestSeconds);
  const room = Math.floor((total - 1) / interval);
  const count = Math.max(1, Math.min(Math.ceil(total / 2 / interval), room, 127));
  const idle = Math.min(Math.max(total - interval * count, 1), longestSeconds);
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
