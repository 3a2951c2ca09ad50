/**
 * Dialling: options to adapter to connection, under one limit.
 *
 * @module
 */

import type { Attempt, Target, Transport } from "./adapter.ts";
import { Connection, type TcpConnection } from "./connection/connection.ts";
import { canonical } from "./dial/hostname.ts";
import { diagnoseAttempt } from "./connection/diagnosis.ts";
import { TimeoutError, toSocketError } from "./errors.ts";
import { checkConnect } from "./options/validate.ts";
import type { ConnectOptions } from "./options/types.ts";
import { kernelFor } from "./options/support.ts";
import { adapter } from "./runtime.ts";
import { applyPlan, supportedPlan } from "./options/apply.ts";
import { noteDialled, noteOpened } from "./options/ours.ts";
import { Alarm, timers } from "./time/timers.ts";

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
  const socket = supportedPlan(plan.socket, runtime.natives());
  const { target, timeouts, signal } = plan;
  signal?.throwIfAborted();
  const dialled = noteDialled(target.port);
  let transport: Transport | undefined;
  try {
    transport = await new Dial(target, timeouts.connect, signal).open(runtime.connect);
    applyPlan(runtime.openedHandle(transport.native), socket);
    const connection = new Connection(transport, timeouts, timers, socket.deadPeerTimeout);
    noteOpened(connection);
    return connection;
  } catch (error) {
    if (transport === undefined) throw error;
    transport.close();
    throw toSocketError(error, "connect", target);
  } finally {
    dialled();
  }
}

/** A range of very few ports may give the same one each time. */
const mostMeetings = 8;

/**
 * Whether a connection has met itself: who dials a free port of the range from which the kernel takes
 * local ports may get that very port, and the SYN then meets a socket that is connecting (RFC 9293
 * section 3.5, simultaneous open).
 */
function isItself({ localAddr, remoteAddr }: Transport): boolean {
  return localAddr.port === remoteAddr.port && localAddr.hostname === remoteAddr.hostname;
}

/** One attempt under a limit and a signal, of which the first to end counts. */
class Dial extends Alarm {
  readonly #target: Target;
  readonly #timeout: number | null;
  readonly #signal: AbortSignal | undefined;
  #start!: (target: Target) => Attempt;
  #attempt: Attempt | undefined = undefined;
  /** How often it has met itself. */
  #met = 0;
  #over = false;
  #resolve!: (transport: Transport) => void;
  #reject!: (reason: unknown) => void;

  constructor(target: Target, timeout: number | null, signal: AbortSignal | undefined) {
    super();
    this.#target = target;
    this.#timeout = timeout;
    this.#signal = signal;
  }

  open(start: (target: Target) => Attempt): Promise<Transport> {
    const promise = new Promise<Transport>((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    if (this.#timeout !== null) timers.arm(this, timers.now() + this.#timeout);
    this.#signal?.addEventListener("abort", this);
    this.#start = start;
    this.#dial();
    return promise;
  }

  #dial(): void {
    try {
      const { hostname, port } = this.#target;
      this.#attempt = this.#start({ hostname: canonical(hostname), port });
      this.#attempt.opened.then(
        (transport) => this.#opened(transport),
        (cause) => this.#failed(cause),
      );
    } catch (cause) {
      this.#failed(cause);
    }
  }

  #opened(transport: Transport): void {
    // It may open in the very moment in which it is called off, with nobody left to take it.
    if (this.#over) return transport.close();
    // Another listener may have kept the abort event from us.
    if (this.#signal?.aborted) {
      transport.close();
      return this.handleEvent();
    }
    if (isItself(transport)) return this.#again(transport);
    this.#end();
    this.#resolve(transport);
  }

  /** Nobody listens at that port, so another socket of our own would get it, or be refused. */
  #again(transport: Transport): void {
    try {
      // RST, so that the port is not in TIME-WAIT when its server comes.
      transport.reset(() => kernelFor("reset"));
    } catch {
      transport.close();
    }
    if (++this.#met < mostMeetings) return this.#dial();
    const cause = new Error("every attempt connected to itself");
    this.#failed(Object.assign(cause, { code: "ECONNREFUSED" }));
  }

  #failed(cause: unknown): void {
    if (this.#over) return;
    this.#end();
    this.#reject(toSocketError(cause, "connect", this.#target));
  }

  override ring(): void {
    if (this.#signal?.aborted) return this.handleEvent();
    const timeout = this.#timeout!;
    const diagnosis = diagnoseAttempt(this.#target, timers);
    this.#callOff(
      new TimeoutError({ operation: "connect", timeout, address: this.#target, diagnosis }),
    );
  }

  handleEvent(): void {
    this.#callOff(this.#signal!.reason);
  }

  #callOff(reason: unknown): void {
    this.#end();
    this.#reject(reason);
    this.#attempt?.abort();
  }

  #end(): void {
    this.#over = true;
    timers.remove(this);
    this.#signal?.removeEventListener("abort", this);
  }
}
