/**
 * Dialling: options to adapter to connection, under one limit.
 *
 * @module
 */

import type { Attempt, Target, Transport } from "./adapter.ts";
import { Connection, type TcpConnection } from "./connection.ts";
import { diagnoseAttempt } from "./diagnosis.ts";
import { TimeoutError, toSocketError } from "./errors.ts";
import { checkConnect } from "./validate.ts";
import type { ConnectOptions } from "./options.ts";
import { adapter } from "./runtime.ts";
import { applyPlan, checkSupported } from "./apply.ts";
import { Alarm, timers } from "./timers.ts";

/**
 * Opens a TCP connection. `timeout` is required: it bounds name resolution, every address tried and
 * the handshake together, and holds for later reads and writes. Options are in force when the
 * promise resolves. After a timeout or an abort no socket of the attempt is left.
 *
 * @param options Where to, how long at most, and socket options.
 * @throws {TypeError | RangeError} An option is unknown, missing or out of range; nothing was dialled.
 * @throws {UnsupportedOptionError} An option cannot be set on this platform; nothing was dialled.
 * @throws {TimeoutError} Our clock ran out.
 * @throws {SocketError} Such as `ECONNREFUSED` or `ENOTFOUND`.
 *
 * @example Connect with limits and keepalive
 * ```ts
 * import { connect, listen } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 30_000 });
 * using socket = await connect({
 *   hostname: "127.0.0.1",
 *   port: listener.addr.port,
 *   timeout: { connect: 5_000, read: 30_000, write: 10_000 },
 *   keepAlive: true,
 * });
 * console.log(socket.timeouts.read); // 30000
 * ```
 */
export async function connect(options: ConnectOptions): Promise<TcpConnection> {
  const plan = checkConnect(options);
  const runtime = adapter();
  checkSupported(plan.socket, "connection");
  const { target, timeouts, signal } = plan;
  signal?.throwIfAborted();
  const transport = await new Dial(target, timeouts.connect, signal).open(() =>
    runtime.connect(target)
  );
  try {
    applyPlan(runtime.handle(transport.native)!, plan.socket);
    return new Connection(transport, timeouts, timers, plan.socket.deadPeerTimeout);
  } catch (error) {
    transport.close();
    throw toSocketError(error, "connect", target);
  }
}

/** One attempt under a limit and a signal, of which the first to end counts. */
class Dial extends Alarm {
  readonly #target: Target;
  readonly #timeout: number | null;
  readonly #signal: AbortSignal | undefined;
  #attempt: Attempt | undefined = undefined;
  /** What ended the attempt from our side. */
  #over: { reason: unknown } | undefined = undefined;
  #reject!: (reason: unknown) => void;

  constructor(target: Target, timeout: number | null, signal: AbortSignal | undefined) {
    super();
    this.#target = target;
    this.#timeout = timeout;
    this.#signal = signal;
  }

  async open(start: () => Attempt): Promise<Transport> {
    const over = new Promise<never>((_, reject) => this.#reject = reject);
    if (this.#timeout !== null) timers.arm(this, timers.now() + this.#timeout);
    this.#signal?.addEventListener("abort", this);
    try {
      this.#attempt = start();
      const transport = await Promise.race([this.#attempt.opened, over]);
      if (this.#over === undefined) return transport;
    } catch (error) {
      if (this.#over === undefined) throw toSocketError(error, "connect", this.#target);
    } finally {
      timers.remove(this);
      this.#signal?.removeEventListener("abort", this);
    }
    throw this.#over.reason;
  }

  override ring(): void {
    const timeout = this.#timeout!;
    const diagnosis = diagnoseAttempt(this.#target, timers);
    this.#end(
      new TimeoutError({ operation: "connect", timeout, address: this.#target, diagnosis }),
    );
  }

  handleEvent(): void {
    this.#end(this.#signal!.reason);
  }

  #end(reason: unknown): void {
    this.#over = { reason };
    this.#reject(reason);
    this.#attempt?.abort();
    // It may have opened in this very moment, with nobody left to take it.
    this.#attempt?.opened.then((transport) => transport.close(), () => {});
  }
}
