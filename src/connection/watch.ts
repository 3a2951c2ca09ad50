/**
 * `deadPeerTimeout`: what it sets in the kernel, and the watch over data in flight, which keepalive
 * does not cover (Linux sends no keepalive probes while anything is unacknowledged or unsent).
 *
 * @module
 */

import type { Handle } from "../adapter.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { constants } from "../kernel/constants.ts";
import { pulse, takePulse } from "../kernel/pulse.ts";
import { setInt } from "../options/dead_peer.ts";
import { longestInterval, probeInterval } from "../options/probing.ts";
import { kernelFor } from "../options/support.ts";
import { Alarm, type TimerQueue } from "../time/timers.ts";

/**
 * Looks after one connection while something is in flight; asleep, without a timer, otherwise.
 *
 * A peer is gone when nothing was heard from it for the whole timeout although the kernel asked it
 * more than once. The kernel then gets a user timeout of 1 ms, so that it ends the connection at its
 * next retransmission or probe in the ordinary way: what has arrived can still be read, and every
 * call sees the error that the runtime gives. Only a kernel whose next probe is far away is not
 * waited for.
 */
export class Watch extends Alarm {
  readonly #handle: Handle;
  readonly #timeout: number;
  readonly #timers: TimerQueue;
  readonly #gone: (cause: Error) => void;
  readonly #interval: number;
  /** The peer was heard from at this time or later. */
  #heard: number;
  #fd = -1;
  #cookie = 0n;
  #suspect = false;
  #condemned = false;

  constructor(
    handle: Handle,
    timeout: number,
    timers: TimerQueue,
    gone: (cause: Error) => void,
  ) {
    super();
    this.#handle = handle;
    this.#timeout = timeout;
    this.#timers = timers;
    this.#gone = gone;
    this.#interval = probeInterval(timeout);
    this.#heard = timers.now();
    try {
      // So often the kernel probes then, whatever it waits for. Before Linux 6.15 it has no such
      // option: its probes grow apart, and only this watch bounds the time.
      const kernel = kernelFor("deadPeerTimeout");
      setInt(kernel, handle.fd(), "TCP_RTO_MAX_MS", this.#interval);
    } catch {
      // The socket is closed already; whoever reads from it is told why.
    }
  }

  /** Something was sent. On the path of every write: one comparison while awake. */
  wake(): void {
    if (this.due !== Infinity || this.#condemned) return;
    const now = this.#timers.now();
    this.#arm(Math.max(now + this.#interval / 2, this.#heard + this.#timeout));
  }

  /** On a grid, so that many connections share a tick. */
  #arm(due: number): void {
    const grid = this.#interval / 10;
    this.#timers.arm(this, Math.ceil(due / grid) * grid);
  }

  override ring(): void {
    try {
      const next = this.#look();
      if (next !== undefined) this.#arm(this.#timers.now() + next);
    } catch {
      // The socket is closed already: the runtime has seen an error, and told it.
    }
  }

  /** Answers after how many ms to look again, `undefined` when there is nothing to watch. */
  #look(): number | undefined {
    const kernel = kernelFor("deadPeerTimeout");
    const fd = this.#descriptor(kernel);
    if (fd < 0 || !takePulse(kernel, fd) || pulse.closed) return undefined;
    if (this.#condemned) {
      this.#gone(timedOut(this.#timeout));
      return undefined;
    }
    const { silence, unacknowledged, notSent, retransmits, probes } = pulse;
    this.#heard = this.#timers.now() - silence;
    if (unacknowledged === 0 && notSent === 0) {
      this.#suspect = false;
      return undefined;
    }
    const left = this.#timeout - silence;
    if (left > 0) {
      this.#suspect = false;
      return left + 1;
    }
    // What was asked just now may still be answered, if only once.
    const asked = Math.max(unacknowledged > 0 ? retransmits : 0, probes);
    if (asked >= 2 || (asked === 1 && this.#suspect)) {
      this.#condemned = true;
      setInt(kernel, fd, "TCP_USER_TIMEOUT", 1);
      return this.#interval + 100;
    }
    this.#suspect = asked === 1;
    return this.#suspect ? this.#interval : this.#interval / 2;
  }

  /**
   * The descriptor, or -1 when the socket is closed. Where a runtime has to search for it, that
   * takes longer than all the rest, so it is kept: SO_COOKIE (Linux 4.6) is never given twice.
   */
  #descriptor(kernel: Kernel): number {
    if (this.#fd < 0 || this.#cookie === 0n) {
      this.#fd = this.#handle.fd();
      this.#cookie = readCookie(kernel, this.#fd);
      return this.#fd;
    }
    return readCookie(kernel, this.#fd) === this.#cookie ? this.#fd : -1;
  }

  /** Ends watching. */
  stop(): void {
    this.#timers.remove(this);
  }

  /** Ends watching and takes back what was set in the kernel beside keepalive. */
  undo(): void {
    this.stop();
    const kernel = kernelFor("deadPeerTimeout");
    setInt(kernel, this.#handle.fd(), "TCP_RTO_MAX_MS", longestInterval);
  }

  /**
   * Hands over to the kernel before `close`. It gives up a socket that nobody owns as soon as its
   * backoff has reached TCP_RTO_MAX_MS, also before the closed window of a live peer, so that goes
   * back to its default. Whatever is on the way has the whole timeout to be acknowledged; a closed
   * window is left to the kernel's own patience, which is minutes.
   */
  release(): void {
    this.stop();
    try {
      const kernel = kernelFor("deadPeerTimeout");
      const fd = this.#descriptor(kernel);
      if (fd < 0 || !takePulse(kernel, fd) || pulse.closed) return;
      setInt(kernel, fd, "TCP_RTO_MAX_MS", longestInterval);
      const slow = pulse.unacknowledged === 0 && pulse.notSent > 0 && pulse.probes < 2;
      if (!slow) setInt(kernel, fd, "TCP_USER_TIMEOUT", Math.min(this.#timeout, 2 ** 31 - 1));
    } catch {
      // The runtime has closed it already.
    }
  }
}

const eight = new Uint8Array(8);
const cookie = new BigUint64Array(eight.buffer);

/** What identifies a socket; 0 where the kernel does not tell. */
function readCookie(kernel: Kernel, fd: number): bigint {
  const length = kernel.getsockopt(fd, constants.SOL_SOCKET!, constants.SO_COOKIE!, eight);
  return length < 8 ? 0n : cookie[0]!;
}

function timedOut(timeout: number): Error {
  const message = `nothing was heard from the peer for ${timeout} ms`;
  return Object.assign(new Error(message), { code: "ETIMEDOUT" });
}
