/**
 * When a silent peer is gone, by what the kernel knows of data in flight.
 *
 * @module
 */

import type { TcpInfo } from "../kernel/tcp_info.ts";
import { probeInterval } from "./probing.ts";

/**
 * Judges one connection, look by look.
 *
 * A peer is gone when nothing was heard from it for the whole timeout and the kernel then asked it
 * once more in vain. An outage begins at most a quarter of the timeout after the peer was last heard
 * from (so often the kernel probes), so one that is shorter than the other three quarters is over by
 * then, and the peer answers.
 */
export class Silence {
  readonly #timeout: number;
  readonly #interval: number;
  /** How often the kernel had asked when the timeout was over; -1 before. */
  #asked = -1;
  /** How long the silence may be when the question that came after that has to be answered. */
  #patience = 0;

  constructor(timeout: number) {
    this.#timeout = timeout;
    this.#interval = probeInterval(timeout);
  }

  /**
   * Returns after how many ms to look again; `Infinity` when nothing is in flight, so that keepalive
   * looks after the connection; 0 when the peer is gone.
   */
  look(info: TcpInfo): number {
    const { unacknowledged = 0, notSent = 0, retransmits = 0, probes = 0 } = info;
    const silence = silenceOf(info);
    const left = this.#timeout - silence;
    const asked = retransmits + probes;
    if (left > 0 || this.#asked < 0) this.#asked = left > 0 ? -1 : asked;
    if (unacknowledged === 0 && notSent === 0) return Infinity;
    if (left > 0) return left + 1;
    const step = this.#interval / 10;
    if (asked <= this.#asked) {
      this.#patience = 0;
      // The kernel asks once in an interval, unless it cannot be told to (before Linux 6.15).
      return asked > 0 && -left > 1.25 * this.#interval ? 0 : step;
    }
    if (this.#patience === 0) {
      // The only question there was may have been lost; one of several has time for a round trip.
      const answer = this.#asked === 0
        ? this.#interval
        : info.rtt + 4 * info.rttVariation + step / 2;
      this.#patience = silence + Math.min(answer, this.#interval);
    }
    return Math.max(0, this.#patience - silence);
  }
}

/** Time since anything came from the peer, ms. */
export function silenceOf({ lastAckReceived = 0, lastDataReceived = 0 }: TcpInfo): number {
  // Data that comes with nothing new acknowledged does not count as an acknowledgement.
  return Math.min(lastAckReceived, lastDataReceived);
}
