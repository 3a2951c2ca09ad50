/** A connection that was closed while it waited for room in its peer's receive window. */

import type { Kernel } from "../kernel/kernel.ts";
import { host } from "../kernel/system.ts";
import { readTcpInfo } from "../kernel/tcp_info.ts";
import { disconnect, SHUT_RDWR } from "../kernel/tcp_socket.ts";
import { setInt } from "../options/dead_peer.ts";
import { longestInterval } from "../options/probing.ts";
import type { Silence } from "../options/silence.ts";
import { Alarm, type TimerQueue, timers } from "../time/timers.ts";

/** After `close`, the runtime's TLS still sends `close_notify`. It has at most this much time before FIN, ms. */
const settling = 2_000;
/** The first pause between two looks, ms. Each is twice as long as the one before, up to the interval. */
const firstPause = 1;

let watchingExit = false;

/**
 * Tells alarms when the process ends. Without an open descriptor the kernel gives up what is unsent as soon as
 * the time between two probes has reached TCP_RTO_MAX_MS, so whoever has made it short makes it long again.
 */
export function watchExit(): void {
  if (!watchingExit) host().on("exit", () => timers.exit());
  watchingExit = true;
}

/**
 * Keeps a duplicate of the descriptor open until the peer has everything or is gone. Without an open
 * descriptor the kernel would give up after a number of probes: too early for a peer that reads slowly,
 * and minutes too late for one that is gone.
 */
export class Leaving extends Alarm {
  readonly #kernel: Kernel;
  readonly #fd: number;
  readonly #timers: TimerQueue;
  readonly #silence: Silence;
  readonly #closing: () => boolean;
  /** When FIN is sent at the latest. */
  readonly #latest: number;
  #pause = firstPause;

  /**
   * Nothing else may use `fd`, which is closed at the end. While `closing` returns `true`, the runtime has not
   * closed its own descriptor, and may still send something before FIN.
   */
  constructor(
    kernel: Kernel,
    fd: number,
    timers: TimerQueue,
    silence: Silence,
    closing: () => boolean,
  ) {
    super();
    this.#kernel = kernel;
    this.#fd = fd;
    this.#timers = timers;
    this.#silence = silence;
    this.#closing = closing;
    this.#latest = timers.now() + settling;
    watchExit();
    this.#waitFor(firstPause);
  }

  #waitFor(ms: number): void {
    this.#pause = Math.min(2 * this.#pause, this.#silence.interval);
    this.#timers.arm(this, this.#timers.now() + ms);
  }

  override ring(): void {
    if (this.#timers.now() < this.#latest && this.#closing()) return this.#waitFor(this.#pause);
    // Sends FIN, and RST when something arrives later, as `close` would do for the last descriptor.
    this.#kernel.shutdown(this.#fd, SHUT_RDWR);
    const info = readTcpInfo(this.#kernel, this.#fd);
    const over = typeof info === "number" || info.state === "CLOSED";
    const next = over ? Infinity : this.#silence.look(info);
    if (next > 0 && next < Infinity) return this.#waitFor(Math.min(next, this.#pause));
    if (next === 0) disconnect(this.#kernel, this.#fd);
    this.#kernel.close(this.#fd);
  }

  override exit(): void {
    setInt(this.#kernel, this.#fd, "TCP_RTO_MAX_MS", longestInterval);
  }
}
