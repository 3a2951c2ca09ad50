/**
 * A connection that was closed before the closed window of its peer.
 *
 * @module
 */

import type { Kernel } from "../kernel/kernel.ts";
import { host } from "../kernel/system.ts";
import { readTcpInfo } from "../kernel/tcp_info.ts";
import { disconnect } from "../kernel/tcp_socket.ts";
import { setInt } from "../options/dead_peer.ts";
import { longestInterval } from "../options/probing.ts";
import type { Silence } from "../options/silence.ts";
import { Alarm, type TimerQueue } from "../time/timers.ts";

const SHUT_RDWR = 2;

/** All of them, for the end of the process. */
const leaving = new Set<Leaving>();
let watchingExit = false;

/**
 * Keeps a descriptor of its own until the peer has everything, or is gone. A socket without a
 * descriptor the kernel would give up by counting probes: that of a peer that reads slowly too early,
 * and that of one that is gone minutes too late.
 */
export class Leaving extends Alarm {
  readonly #kernel: Kernel;
  readonly #fd: number;
  readonly #timers: TimerQueue;
  readonly #silence: Silence;
  readonly #interval: number;

  /** `fd` is closed in the end, and nothing else may use it. */
  constructor(
    kernel: Kernel,
    fd: number,
    timers: TimerQueue,
    silence: Silence,
    interval: number,
  ) {
    super();
    this.#kernel = kernel;
    this.#fd = fd;
    this.#timers = timers;
    this.#silence = silence;
    this.#interval = interval;
    // As `close` does while another descriptor is open: FIN, and RST for what comes from now on.
    kernel.shutdown(fd, SHUT_RDWR);
    leaving.add(this);
    if (!watchingExit) host().on("exit", handOver);
    watchingExit = true;
    timers.arm(this, timers.now() + interval);
  }

  override ring(): void {
    const info = readTcpInfo(this.#kernel, this.#fd);
    const over = typeof info === "number" || info.state === "CLOSED";
    const next = over ? Infinity : this.#silence.look(info);
    if (next > 0 && next < Infinity) {
      return this.#timers.arm(this, this.#timers.now() + Math.min(next, this.#interval));
    }
    if (next === 0) disconnect(this.#kernel, this.#fd);
    leaving.delete(this);
    this.#kernel.close(this.#fd);
  }

  /** The kernel alone is patient for minutes, unless its probes are to come often. */
  handOver(): void {
    setInt(this.#kernel, this.#fd, "TCP_RTO_MAX_MS", longestInterval);
  }
}

function handOver(): void {
  for (const one of leaving) one.handOver();
}
