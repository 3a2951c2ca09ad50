/** A listening socket: its public type, and its implementation over a listener transport. */

import type { IncomingConnections, ListenerTransport, Transport } from "./adapter.ts";
import type { NetAddr } from "./kernel/address.ts";
import { Call, type CallOptions, CallQueue, dueOf } from "./time/calls.ts";
import { Connection } from "./connection/connection.ts";
import type { TcpConnection } from "./connection/types.ts";
import { SocketError, temporaryCodes, type TimeoutErrorOptions, toSocketError } from "./errors.ts";
import type { KernelOptions, ListenTimeouts, SocketOptions } from "./options/types.ts";
import { Member, noteClosed, noteOpened, type Ours } from "./options/ours.ts";
import { resetOrClose } from "./options/support.ts";
import { type Drainable, Draining, settles } from "./draining.ts";
import { timeoutError } from "./events.ts";
import { getOptions, setOptions } from "./options/any_socket.ts";
import { type TimerQueue, timers as sharedTimers } from "./time/timers.ts";
import { checkCall } from "./options/validate.ts";

/** What has become of a listener's connections. */
export interface ListenerStats {
  /** Connections that `accept` and iteration have returned so far. */
  readonly accepted: number;
  /** How many of these are open now: neither closed, nor ended by an error that was reported. */
  readonly open: number;
  /** Connections that wait in this process for an `accept`, at most `maxPending`. */
  readonly pending: number;
  /** Connections that were reset because `maxPending` were waiting. */
  readonly dropped: number;
  /** TLS handshakes that have failed or taken too long. */
  readonly failedHandshakes: number;
}

/** How a {@linkcode TcpListener.shutdown} ended. */
export interface Shutdown {
  /** Connections that were closed, or whose peer ended them, within the limit. */
  readonly finished: number;
  /** Connections that were still open at the limit, or were not accepted. */
  readonly reset: number;
}

/**
 * A listening socket with a limit on `accept`. It has the shape of `Deno.TcpListener`.
 *
 * @example Wait a limited time for the next connection
 * ```ts
 * import { connect, listen, TimeoutError } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 5_000 });
 * using client = await connect({ port: listener.addr.port, timeout: 5_000 });
 * using server = await listener.accept({ timeout: 1_000 });
 * console.log(server.remoteAddr.port === client.localAddr.port); // true
 * const late = await listener.accept({ timeout: 10 }).catch((error) => error);
 * console.log(late instanceof TimeoutError); // true
 * ```
 */
export interface TcpListener extends AsyncIterable<TcpConnection> {
  /**
   * The runtime's own listener: `Deno.Listener`, Bun's listener or `net.Server`. Closing it cancels a
   * pending `accept`: with a `net.Server` once its connections have ended, and with Bun's listener, which
   * has no event for that, at the next `accept`.
   */
  readonly native: object;
  /** The address it listens on. */
  readonly addr: NetAddr;
  /** The limits of `accept` and of accepted connections, in ms. `null` is no limit. */
  readonly timeouts: Readonly<ListenTimeouts>;
  /**
   * Waits for the next connection. Calls are served in order.
   *
   * @param options Limits of this call, of which the earliest counts. Default: the accept timeout.
   * @throws {TimeoutError} No connection came in time. The next call gets the next connection.
   * @throws {SocketError} Such as `EMFILE`. `ECANCELED`: the listener was closed meanwhile. `EBADF`: it was
   * closed before.
   */
  accept(options?: CallOptions): Promise<TcpConnection>;
  /** `setOptions` for the listening socket. */
  setOptions(options: SocketOptions): SocketOptions;
  /** `getOptions` for the listening socket. */
  getOptions(): KernelOptions;
  /**
   * Stops listening and closes connections that were not accepted. A pending `accept` rejects with
   * {@linkcode SocketError} `ECANCELED`, and iteration ends. Idempotent.
   */
  close(): void;
  /**
   * Stops listening without losing a connection: new ones are kept away, and those that the kernel has
   * completed can still be accepted, so the program has to go on accepting. When none is left, the
   * listener closes: a pending `accept` rejects with `ECANCELED`, and iteration ends. Accepted
   * connections stay open. It takes at least 0.2 s, for handshakes that have begun, and up to 1 s while
   * the kernel shows some.
   *
   * On Linux with system calls: when two listeners share the port by `reusePort`, the other one gets new
   * connections at once. Otherwise SYNs are dropped, which clients send again after a second. But a
   * listener that was given as `fd` only serves the connections that wait at that moment, since another
   * process may listen on the same socket. On other platforms it accepts until no connection has come
   * for 0.2 s, and one that comes at the very end can be lost.
   *
   * @param options Limits of this call, of which the earliest counts. Default: the accept timeout.
   * @throws {TimeoutError} Connections still wait for an `accept`. Drain again, or close.
   * @throws {SocketError} `ECANCELED`: the listener was closed meanwhile.
   */
  drain(options?: CallOptions): Promise<void>;
  /**
   * Ends a server: does what `drain` does, then waits until the accepted connections are closed. At the
   * limit, or when `signal` aborts, the connections that are left are reset (or closed, where the runtime
   * cannot reset), also those that were not accepted.
   *
   * @param options Limits of this call, of which the earliest counts. Default: the read timeout.
   * @returns How many connections had finished, and how many were reset.
   */
  shutdown(options?: CallOptions): Promise<Shutdown>;
  /** What has become of its connections so far. */
  readonly stats: ListenerStats;
  /**
   * Lets a pending `accept`, or a loop over the listener, keep the process alive (the default). A listener
   * without a pending `accept` does not keep it alive, in any runtime.
   */
  ref(): void;
  /** Lets the process end while an `accept` is pending. */
  unref(): void;
  /**
   * Yields connections until the listener is closed. Leaving the loop early closes the listener. A lack
   * of descriptors or memory (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`) and `ECONNABORTED` do not end the
   * loop: it waits for 5 ms, each time twice as long up to a second, and goes on. Other errors end it.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<TcpConnection>;
  /** Same as `close()`. */
  [Symbol.dispose](): void;
  /** Same as `close()`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Prepares a connection before `accept` returns it. Throws when the connection is gone. */
export type Prepare = (transport: Transport) => void;

/** What not every listener has. */
interface Settings {
  readonly prepare?: Prepare;
  readonly deadPeerTimeout?: number | undefined;
  readonly maxPending?: number;
  /** Whether another process may listen on the same socket. */
  readonly shared?: boolean;
}

class Accepts extends CallQueue<TcpConnection, Call<TcpConnection>> {
  readonly #transport: ListenerTransport;

  constructor(transport: ListenerTransport, timers: TimerQueue) {
    super(timers);
    this.#transport = transport;
  }

  create(): Call<TcpConnection> {
    return new Call(this);
  }

  override left(): void {
    this.holdTransport();
  }

  override reference(on: boolean): void {
    super.reference(on);
    this.holdTransport();
  }

  /** An accept of the runtime's goes on when no call waits any more, but keeps nothing alive then. */
  holdTransport(): void {
    this.#transport.hold?.(this.referenced && this.head !== undefined);
  }

  describe(): Omit<TimeoutErrorOptions, "timeout"> {
    return { operation: "accept", address: this.#transport.addr };
  }
}

/** The waits of iterations after a lack of descriptors or memory. */
class Pauses extends CallQueue<void, Call<void>> {
  create(): Call<void> {
    return new Call(this);
  }

  describe(): Omit<TimeoutErrorOptions, "timeout"> {
    return { operation: "accept" };
  }

  override expired(call: Call<void>): void {
    this.leave(call);
    call.resolve();
  }
}

/** The implementation of {@linkcode TcpListener}. */
export class Listener extends Member implements TcpListener, Ours, IncomingConnections, Drainable {
  readonly timeouts: Readonly<ListenTimeouts>;
  readonly #transport: ListenerTransport;
  readonly #prepare: Prepare | undefined;
  readonly #timers: TimerQueue;
  readonly #calls: Accepts;
  /** Connections that came before a call asked for them. */
  readonly #arrived: Connection[] = [];
  /** The first error that came while no call waited. The next call gets it, after those connections. */
  #missed: Error | undefined = undefined;
  /**
   * Connections that were returned and are open, in no order. It is not a set: V8 keeps the old tables of a
   * set that changes, and with them connections that are closed, until a full collection.
   */
  readonly #open: Connection[] = [];
  readonly #maxPending: number;
  #draining: Draining | undefined;
  #drainedDry = false;
  #accepted = 0;
  #dropped = 0;
  readonly #pauses: Pauses;
  readonly #shared: boolean;
  #came = 0;
  #closed = false;
  #deadPeerTimeout: number | undefined;

  constructor(
    transport: ListenerTransport,
    timeouts: ListenTimeouts,
    settings: Settings = {},
    timers: TimerQueue = sharedTimers,
  ) {
    super();
    this.#transport = transport;
    this.timeouts = Object.freeze(timeouts);
    this.#deadPeerTimeout = settings.deadPeerTimeout;
    this.#maxPending = settings.maxPending ?? Infinity;
    this.#shared = settings.shared ?? false;
    this.#prepare = settings.prepare;
    this.#timers = timers;
    this.#calls = new Accepts(transport, timers);
    this.#pauses = new Pauses(timers);
    transport.start(this);
    transport.unref();
    noteOpened(this);
  }

  // These are not fields, since a printed listener would show them, and with them all of a `net.Server`.

  get transport(): ListenerTransport {
    return this.#transport;
  }

  get shared(): boolean {
    return this.#shared;
  }

  get came(): number {
    return this.#came;
  }

  get native(): object {
    return this.#transport.native;
  }

  get inner(): object {
    return this.#transport.native;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  get addr(): NetAddr {
    return Object.freeze(this.#transport.addr);
  }

  accept(options?: CallOptions): Promise<TcpConnection> {
    if (options !== undefined) {
      try {
        options = checkCall(options, "accept");
      } catch (error) {
        return Promise.reject(error);
      }
      const refusal = this.#closed ? undefined : this.#calls.refusal(options);
      if (refusal !== undefined) return Promise.reject(refusal.reason);
    }
    if (this.#closed) return Promise.reject(this.#error("EBADF"));
    const first = this.#arrived.shift();
    if (first !== undefined) {
      // A listener that was full left the rest to the kernel, and can go on now.
      if (this.#arrived.length + 1 === this.#maxPending) this.#pull();
      return Promise.resolve(this.#handOut(first));
    }
    const error = this.#missed;
    this.#missed = undefined;
    if (error !== undefined) return Promise.reject(error);
    const promise = this.#calls.enter(this.#calls.take(), options, this.timeouts.accept);
    this.#pull();
    return promise;
  }

  /** Called for each new connection, which goes to the first waiting call or waits for one. */
  accepted(transport: Transport): void {
    this.#came++;
    if (this.#closed) return transport.close();
    if (this.full) {
      this.#dropped++;
      return resetOrClose(transport);
    }
    try {
      this.#prepare?.(transport);
    } catch {
      // The client has gone already. That must not end a loop of accepts, so the next one is awaited.
      transport.close();
      if (this.#calls.head !== undefined) this.#pull();
      return;
    }
    const connection = new Connection(
      transport,
      this.timeouts,
      this.#timers,
      this.#deadPeerTimeout,
    );
    noteOpened(connection);
    const call = this.#calls.head;
    if (call === undefined) return void this.#arrived.push(connection);
    this.#calls.leave(call);
    call.resolve(this.#handOut(connection));
    if (this.#calls.head !== undefined) this.#pull();
  }

  #pull(): void {
    this.#calls.holdTransport();
    this.#transport.pull();
  }

  #handOut(connection: Connection): Connection {
    this.#accepted++;
    connection.countIn(this.#open);
    return connection;
  }

  get full(): boolean {
    return this.#arrived.length >= this.#maxPending;
  }

  get idle(): boolean {
    return this.#arrived.length === 0;
  }

  get stats(): ListenerStats {
    return {
      accepted: this.#accepted,
      open: this.#open.length,
      pending: this.#arrived.length,
      dropped: this.#dropped,
      failedHandshakes: this.#transport.handshakes?.failed ?? 0,
    };
  }

  async drain(options: CallOptions = {}): Promise<void> {
    const { signal, ...limits } = checkCall(options, "drain");
    signal?.throwIfAborted();
    const { due, limit } = dueOf(limits, this.timeouts.accept);
    if (await this.#drained(due, signal)) return;
    signal?.throwIfAborted();
    const left = this.#arrived.length;
    throw timeoutError({
      operation: "drain",
      timeout: limit,
      address: this.addr,
      diagnosis: left === 0
        ? "new connections kept coming, or their handshakes still run"
        : `${left} ${left === 1 ? "connection waits" : "connections wait"} to be accepted`,
    });
  }

  /** Drains. Resolves to whether every connection was accepted within the limit. */
  async #drained(due: number, signal: AbortSignal | undefined): Promise<boolean> {
    if (this.#closed) return true;
    const draining = this.#draining ??= new Draining(this);
    let closed = false;
    const done = () => (closed = this.#closed) || draining.look();
    if (!await settles(done, due, signal)) return false;
    if (closed && !this.#drainedDry) throw this.#error("ECANCELED");
    this.#drainedDry = true;
    this.close();
    return true;
  }

  async shutdown(options: CallOptions = {}): Promise<Shutdown> {
    const { signal, ...limits } = checkCall(options, "shut down");
    const { due } = dueOf(limits, this.timeouts.read);
    const before = this.#accepted - this.#open.length;
    try {
      await this.#drained(due, signal);
    } catch {
      // The listener was closed meanwhile. Connections that were accepted before may still finish.
    }
    await settles(() => this.#open.length === 0, due, signal);
    const finished = this.#accepted - this.#open.length - before;
    const left = [...this.#open, ...this.#arrived.splice(0)];
    const reset = left.filter((one) => !one.gone).length;
    for (const one of left) resetOrClose(one);
    this.close();
    return { finished: finished + left.length - reset, reset };
  }

  /** Called when one accept has failed. The listener goes on. */
  failed(cause: unknown): void {
    if (this.#closed) return;
    const error = toSocketError(cause, "accept", this.addr);
    const call = this.#calls.head;
    if (call === undefined) return void (this.#missed ??= error);
    this.#calls.leave(call);
    call.reject(error);
    if (this.#calls.head !== undefined) this.#pull();
  }

  setOptions(options: SocketOptions): SocketOptions {
    return setOptions(this, options);
  }

  getOptions(): KernelOptions {
    return getOptions(this);
  }

  /** Sets the `deadPeerTimeout` of connections that are accepted from now on. */
  watchPeer(timeout: number | undefined): void {
    this.#deadPeerTimeout = timeout;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    noteClosed(this);
    for (const waiting of [this.#calls, this.#pauses]) {
      waiting.rejectAll(() => this.#error("ECANCELED"));
      waiting.dispose();
    }
    this.#draining?.stop();
    this.#transport.close();
    for (const connection of this.#arrived.splice(0)) connection.close();
  }

  ref(): void {
    this.#calls.reference(true);
    this.#pauses.reference(true);
  }

  unref(): void {
    this.#calls.reference(false);
    this.#pauses.reference(false);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<TcpConnection> {
    const over = { done: true, value: undefined } as const;
    let pause = 5;
    const next = async (): Promise<IteratorResult<TcpConnection>> => {
      while (!this.#closed) {
        try {
          const value = await this.accept();
          pause = 5;
          return { done: false, value };
        } catch (error) {
          if (this.#closed) return over;
          if (!temporaryCodes.has((error as { code?: string }).code!)) {
            this.close();
            throw error;
          }
        }
        // Closing the listener ends the wait.
        await this.#pauses.enter(this.#pauses.take(), undefined, pause).catch(() => {});
        pause = Math.min(2 * pause, 1_000);
      }
      return over;
    };
    // This is not a generator, whose `return` would wait for the next connection, and before the first
    // `next` would not close the listener.
    return {
      next,
      return: () => {
        this.close();
        return Promise.resolve(over);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #error(code: string): SocketError {
    return new SocketError({ code, operation: "accept", address: this.addr });
  }
}
