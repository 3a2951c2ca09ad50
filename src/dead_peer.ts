/**
 * `deadPeerTimeout`: what it sets in the kernel, and the watch over data in flight, which keepalive
 * does not cover (Linux sends no keepalive probes while anything is unacknowledged or unsent).
 *
 * @module
 */

import type { Handle, Kernel } from "./adapter.ts";
import { constants } from "./os/constants.ts";
import { pulse, takePulse } from "./os/pulse.ts";
import { knownSystem, systemName } from "./os/system.ts";
import { clampInterval, longestInterval, probeInterval } from "./probing.ts";
import { kernelFor, type Obstacle, unsupported } from "./roads.ts";
import { adapter } from "./runtime.ts";
import { Alarm, type TimerQueue } from "./timers.ts";

/** The kernel gives up after about so many unanswered retransmissions (`tcp_retries2`). */
const patience = 15;

/** Why there is no `deadPeerTimeout` here, or `undefined`. */
export function deadPeerObstacle(): Obstacle | undefined {
  if (knownSystem() !== "linux") {
    const reason = `on ${systemName()} no way is known to tell a peer that is gone from one ` +
      "that is slow while data is in flight";
    return { reason, remedy: "use keepAlive, and userTimeout where it exists" };
  }
  const kernel = adapter().kernel();
  return "reason" in kernel ? kernel : undefined;
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

function setInt(
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
  readonly closed: boolean;
  /** `deadPeerTimeout` begins, or (`undefined`) other options have replaced it. */
  watchPeer(timeout: number | undefined): void;
}

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
