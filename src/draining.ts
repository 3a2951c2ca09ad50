/**
 * The end of a listener that loses nobody: new connections stay away, those that the kernel has
 * completed are still accepted.
 *
 * @module
 */

import type { ListenerTransport } from "./adapter.ts";
import type { Kernel } from "./kernel/kernel.ts";
import { constants } from "./kernel/constants.ts";
import { dropSyns, spread, steer, takeSyns } from "./kernel/listen_filter.ts";
import { listenersOn } from "./kernel/port_holder.ts";
import { readTcpInfo } from "./kernel/tcp_info.ts";
import { readInt } from "./kernel/tcp_socket.ts";
import { knownSystem } from "./kernel/system.ts";
import { adapter } from "./runtime.ts";
import type { CallOptions } from "./time/calls.ts";
import { nativeTimers } from "./time/native_timers.ts";
import { timers } from "./time/timers.ts";

/** Time for handshakes that are under way, ms: the last word is the client's. */
const grace = 200;
/** How often the kernel is asked, ms. */
const often = 20;
/** Later than this after steering, ms, a new connection shows that it went wrong. */
const settling = 50;

/** What draining asks of a listener. */
export interface Drainable {
  readonly transport: ListenerTransport;
  /** It came as a descriptor: another process may have the same socket, and take what comes. */
  readonly shared: boolean;
  /** Connections that have come so far. */
  readonly came: number;
  /** Nothing waits for an `accept`. */
  readonly idle: boolean;
}

/** How new connections are kept away. */
type Way =
  | { readonly name: "none" | "dropped" }
  | { readonly name: "steered"; readonly index: number; readonly at: number };

/** A listener that takes no new connections, from its making on. */
export class Draining {
  readonly #listener: Drainable;
  readonly #kernel: Kernel | undefined;
  readonly #start: number = timers.now();
  readonly #first: { readonly came: number; readonly waiting: number | undefined };
  /** When the last connection came, and how many had come by then. */
  #last: { came: number; at: number };
  #way: Way = { name: "none" };
  #stopped = false;

  constructor(listener: Drainable) {
    this.#listener = listener;
    this.#kernel = knownSystem() === "linux" ? adapter().loadKernel().kernel : undefined;
    const { came } = listener;
    this.#last = { came, at: this.#start };
    this.#keepAway();
    this.#first = { came, waiting: this.#waiting() };
  }

  /** Asks the kernel. Returns whether everybody has been served. */
  look(): boolean {
    const { transport, idle } = this.#listener;
    if (!this.#stopped) {
      // Deno accepts only what is asked for.
      if (idle) transport.pull();
      // Deno takes a turn of the event loop to close: the port is to be free when this is over.
      if (this.#isQuiet()) this.stop();
      return false;
    }
    return idle && !transport.handshakes?.running;
  }

  /** Listens no more. Those who have come can still be accepted. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const { transport } = this.#listener;
    const fd = this.#fd();
    if (fd !== undefined && this.#way.name === "steered") {
      // Others that share the port are to share connections again. This one must get none of them.
      dropSyns(this.#kernel!, fd);
      spread(this.#kernel!, fd);
    } else if (fd !== undefined && this.#way.name === "dropped") {
      takeSyns(this.#kernel!, fd);
    }
    if (transport.stop === undefined) transport.close();
    else transport.stop();
  }

  #isQuiet(): boolean {
    const { came, shared } = this.#listener;
    const now = timers.now();
    const waiting = this.#waiting();
    if (shared) {
      // What comes from now on, others with the same socket get. What waited then is to be served.
      const { waiting: before } = this.#first;
      if (before === undefined) return now - this.#start >= grace;
      return waiting === 0 || came - this.#first.came >= before;
    }
    if (came !== this.#last.came || waiting! > 0) {
      this.#last = { came, at: now };
      const way = this.#way;
      if (way.name === "steered" && now - way.at > settling) this.#keepAway();
    }
    return now - this.#last.at >= grace;
  }

  /** With two on the port, the other one gets everything. With any other number, clients try again. */
  #keepAway(): void {
    const fd = this.#listener.shared ? undefined : this.#fd();
    if (fd === undefined) return;
    const { addr } = this.#listener.transport;
    const { SOL_SOCKET, SO_REUSEPORT } = constants;
    const sharing = readInt(this.#kernel!, fd, SOL_SOCKET!, SO_REUSEPORT!) > 0
      ? countListeners(addr.port) ?? 2
      : 1;
    if (sharing === 2) {
      // The newest is number 1, unless that is this one.
      const index = this.#way.name === "steered" ? 1 - this.#way.index : 1;
      if (steer(this.#kernel!, fd, index) >= 0) {
        this.#way = { name: "steered", index, at: timers.now() };
        return;
      }
    }
    if (this.#way.name === "steered") spread(this.#kernel!, fd);
    this.#way = { name: dropSyns(this.#kernel!, fd) < 0 ? "none" : "dropped" };
  }

  /** How many the kernel has completed, if it tells. A listener's TCP_INFO has it as `unacknowledged`. */
  #waiting(): number | undefined {
    const fd = this.#fd();
    const info = fd === undefined ? -1 : readTcpInfo(this.#kernel!, fd);
    return typeof info === "number" ? undefined : info.unacknowledged;
  }

  #fd(): number | undefined {
    if (this.#kernel === undefined) return undefined;
    try {
      return adapter().handle(this.#listener.transport.native)?.fd();
    } catch {
      // Somebody has closed it, or there is no way to it.
      return undefined;
    }
  }
}

function countListeners(port: number): number | undefined {
  try {
    // Where Deno may not read there, it must not ask either.
    adapter().list("/proc/self/fd");
  } catch {
    return undefined;
  }
  return listenersOn(port);
}

/** Waits until `done`, and keeps the process alive meanwhile. Returns whether that was within the limit. */
export async function settles(
  done: () => boolean,
  due: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const { setTimeout } = nativeTimers();
  for (;;) {
    if (done()) return true;
    const left = due - timers.now();
    if (left <= 0 || signal?.aborted) return false;
    await new Promise<void>((resolve) => setTimeout(resolve, Math.min(often, Math.ceil(left))));
  }
}

/** When a call with these limits has to be over, and the limit that counts; `Infinity` is never. */
export function dueOf(
  { timeout, deadline }: CallOptions,
  otherwise: number | null,
): { due: number; limit: number } {
  const limit = timeout === undefined ? otherwise : timeout;
  const due = limit === null ? Infinity : timers.now() + limit;
  if (deadline !== undefined && deadline.at < due) {
    return { due: deadline.at, limit: deadline.timeout };
  }
  return { due, limit: limit ?? 0 };
}
