/**
 * Ends a listener without losing a connection: new ones are kept away, and those that the kernel has
 * completed are still accepted.
 */

import type { ListenerTransport } from "./adapter.ts";
import type { Kernel } from "./kernel/kernel.ts";
import { constants } from "./kernel/constants.ts";
import { listed } from "./kernel/descriptors.ts";
import { dropSyns, spread, steer, takeSyns } from "./kernel/listen_filter.ts";
import { handshakesOn, listenersOn } from "./kernel/port_holder.ts";
import { readTcpInfo } from "./kernel/tcp_info.ts";
import { droppedPackets, readInt } from "./kernel/tcp_socket.ts";
import { knownSystem } from "./kernel/system.ts";
import { adapter } from "./runtime.ts";
import { sleep } from "./time/native_timers.ts";
import { timers } from "./time/timers.ts";

/** How long to wait for handshakes that may have begun, ms: the client sends the last packet of them. */
const grace = 200;
/** How long to wait for those that the kernel shows, ms: longer than the round trip to any client. */
const longGrace = 1_000;
/** The time between two looks at the kernel, ms. */
const often = 20;

/** What draining needs of a listener. */
export interface Drainable {
  readonly transport: ListenerTransport;
  /** Whether the listener was given as a descriptor, so that another process may accept from it too. */
  readonly shared: boolean;
  /** How many connections have come so far. */
  readonly came: number;
  /** Whether no connection waits for an `accept`. */
  readonly idle: boolean;
}

/** Keeps new connections away from a listener, from the moment in which it is made. */
export class Draining {
  readonly #listener: Drainable;
  readonly #kernel: Kernel | undefined;
  readonly #start: number = timers.now();
  readonly #first: { readonly came: number; readonly waiting: number | undefined };
  /** When the last connection came, and how many had come by then. */
  #last: { came: number; at: number };
  /** Whether other listeners may share the port by SO_REUSEPORT. */
  #sharesPort = false;
  /** Whether the kernel drops SYNs that come to this listener. */
  #dropping = false;
  /** The number of the listener that gets all connections of the port, if they are steered. */
  #steeredTo: number | undefined = undefined;
  /** How many packets the kernel had dropped at the last look. */
  #dropped = 0;
  /** The clients whose handshakes had begun when SYNs were dropped, and have not ended. */
  #handshakes: readonly string[] = [];
  #stopped = false;
  /** A duplicate of the listener's descriptor, while it closes. */
  #copy = -1;

  constructor(listener: Drainable) {
    this.#listener = listener;
    this.#kernel = knownSystem() === "linux" ? adapter().loadKernel().kernel : undefined;
    const { came } = listener;
    this.#last = { came, at: this.#start };
    this.#keepAway();
    this.#first = { came, waiting: this.#waiting() };
  }

  /** Asks the kernel. Returns whether every connection was accepted. */
  look(): boolean {
    const { transport, idle } = this.#listener;
    if (!this.#stopped) {
      // Deno accepts a connection only after `pull`.
      if (idle) transport.pull();
      // Returns true only at a later look, since Deno takes a turn of the event loop to free the port.
      if (this.#isQuiet()) this.#close();
      return false;
    }
    this.#free();
    return idle && !transport.handshakes?.running;
  }

  /** Stops listening. Connections that have come can still be accepted. */
  stop(): void {
    this.#close();
    this.#free();
  }

  /** Closes the listener, while a copy of its descriptor still keeps new connections away. */
  #close(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    const { transport } = this.#listener;
    const fd = this.#dropping ? this.#fd() : undefined;
    if (fd !== undefined) {
      this.#copy = this.#kernel!.dup(fd);
      // There was no descriptor left.
      if (this.#copy < 0) this.#takeBack(fd);
    }
    if (transport.stop === undefined) transport.close();
    else transport.stop();
  }

  /** Closes the copy, which frees the port. */
  #free(): void {
    if (this.#copy < 0) return;
    this.#takeBack(this.#copy);
    this.#kernel!.close(this.#copy);
    this.#copy = -1;
  }

  /** Takes back what was set. */
  #takeBack(fd: number): void {
    if (this.#steeredTo !== undefined) spread(this.#kernel!, fd);
    // Another process that has inherited this socket goes on with it. With SO_REUSEPORT the others have
    // sockets of their own, so this one drops SYNs until it is closed.
    if (!this.#sharesPort) takeSyns(this.#kernel!, fd);
  }

  #isQuiet(): boolean {
    const { came, shared } = this.#listener;
    const now = timers.now();
    const waiting = this.#waiting();
    if (shared) {
      // Only the connections that waited at the start are served. Later ones are for the other processes.
      const { waiting: before } = this.#first;
      if (before === undefined) return now - this.#start >= grace;
      return waiting === 0 || came - this.#first.came >= before;
    }
    if (came !== this.#last.came || waiting! > 0) this.#last = { came, at: now };
    this.#checkSteering();
    if (now - this.#last.at < grace) return false;
    if (this.#handshakes.length === 0 || now - this.#start >= longGrace) return true;
    const left = new Set(handshakesOn(this.#listener.transport.addr.port));
    this.#handshakes = this.#handshakes.filter((client) => left.has(client));
    return this.#handshakes.length === 0;
  }

  /**
   * Drops SYNs, which clients send again. With two listeners on the port, the other one gets all
   * connections before, so that there are none to drop.
   */
  #keepAway(): void {
    const fd = this.#listener.shared ? undefined : this.#fd();
    if (fd === undefined) return;
    const { SOL_SOCKET, SO_REUSEPORT } = constants;
    this.#sharesPort = readInt(this.#kernel!, fd, SOL_SOCKET!, SO_REUSEPORT!) > 0;
    const { port } = this.#listener.transport.addr;
    // Where Deno may not list descriptors, it may not read the tables of the kernel either.
    const readable = listed(adapter().list) !== undefined;
    const sharing = readable ? listenersOn(port) : undefined;
    // The newer one has number 1.
    if (this.#sharesPort && (sharing ?? 2) === 2) this.#steer(fd, 1);
    this.#dropping = dropSyns(this.#kernel!, fd) >= 0;
    if (this.#dropping && readable) this.#handshakes = handshakesOn(port);
  }

  /**
   * Steers to the other listener when SYNs come to this one, which is then the newer of the two. That
   * connections still come proves nothing: their handshakes may have begun before.
   */
  #checkSteering(): void {
    const fd = this.#steeredTo === undefined ? undefined : this.#fd();
    if (fd === undefined) return;
    if (droppedPackets(this.#kernel!, fd) > this.#dropped) this.#steer(fd, 1 - this.#steeredTo!);
  }

  #steer(fd: number, index: number): void {
    if (steer(this.#kernel!, fd, index) >= 0) this.#steeredTo = index;
    this.#dropped = droppedPackets(this.#kernel!, fd);
  }

  /** How many completed connections the kernel has: a listener's TCP_INFO shows it as `unacknowledged`. */
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
      // The program has closed it, or it cannot be reached.
      return undefined;
    }
  }
}

/** Waits until `done`, keeping the process alive. Resolves to whether that was within the limit. */
export async function settles(
  done: () => boolean,
  due: number,
  signal?: AbortSignal,
): Promise<boolean> {
  for (;;) {
    if (done()) return true;
    const left = due - timers.now();
    if (left <= 0 || signal?.aborted) return false;
    await sleep(Math.min(often, Math.ceil(left)));
  }
}
