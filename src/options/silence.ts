/** Decides from what the kernel knows about data in flight whether a silent peer is gone. */

import type { TcpInfo } from "../kernel/tcp_info.ts";
import { probeInterval } from "./probing.ts";

/**
 * Judges one connection, each time that it is looked at.
 *
 * A peer is gone when nothing was heard from it for the whole timeout, and it then did not answer one more
 * probe of the kernel's. The kernel probes at least four times in each timeout, so an outage begins at
 * most a quarter of it after the peer was last heard from. An outage that is shorter than the other
 * three quarters has therefore ended before that last probe, which the peer then answers.
 */
export class Silence {
  readonly #timeout: number;
  /** The longest time between two probes of the kernel, ms. */
  readonly interval: number;
  /** How many probes the kernel had sent when the timeout was over; -1 before that. */
  #sentAtTimeout = -1;
  /** The silence in ms at which the peer should have answered that one more probe; 0 before the probe. */
  #patience = 0;

  constructor(timeout: number) {
    this.#timeout = timeout;
    this.interval = probeInterval(timeout);
  }

  /**
   * Returns in how many ms to look again: 0 when the peer is gone, and `Infinity` when nothing is in
   * flight, since keepalive then watches the peer.
   */
  look(info: TcpInfo): number {
    const { unacknowledged = 0, notSent = 0, retransmits = 0, probes = 0 } = info;
    const silence = silenceOf(info);
    const left = this.#timeout - silence;
    const sent = retransmits + probes;
    if (left > 0 || this.#sentAtTimeout < 0) this.#sentAtTimeout = left > 0 ? -1 : sent;
    if (unacknowledged === 0 && notSent === 0) return Infinity;
    if (left > 0) return left + 1;
    const step = this.interval / 10;
    if (sent <= this.#sentAtTimeout) {
      this.#patience = 0;
      // From Linux 6.15 on the kernel asks in every interval. Before, it retransmits ever more seldom, and
      // the peer is given up without one more retransmission, as some have been in vain already.
      return retransmits > 0 && -left > 1.25 * this.interval ? 0 : step;
    }
    // Before Linux 6.15 the probes of a closed window may be minutes apart. A single one may have met a
    // short outage, or may have been lost, so the peer is asked once more, however long that takes.
    if (retransmits === 0 && probes === 1) return step;
    if (this.#patience === 0) {
      // Of several questions, the last one gets the time of a round trip. A single retransmission may have
      // been lost, so there is time for the next.
      const time = sent === 1 ? this.interval : info.rtt + 4 * info.rttVariation + step / 2;
      this.#patience = silence + Math.min(time, this.interval);
    }
    return Math.max(0, this.#patience - silence);
  }
}

/** The time since anything came from the peer, ms. */
export function silenceOf({ lastAckReceived = 0, lastDataReceived = 0 }: TcpInfo): number {
  // The kernel does not count a segment as an acknowledgement when it brings data and acknowledges
  // nothing new.
  return Math.min(lastAckReceived, lastDataReceived);
}
