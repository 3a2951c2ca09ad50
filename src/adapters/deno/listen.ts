/**
 * Listening through `Deno.listen`, and through `node:net` on a descriptor for what that cannot do.
 *
 * @module
 */

import type { IncomingConnections, ListenerTransport, ListenPlan, NetAddr } from "../../adapter.ts";
import { type DenoConn, DenoTransport } from "./transport.ts";

/** What this file uses of `Deno.Listener`. */
export interface DenoListener {
  readonly addr: NetAddr;
  accept(): Promise<DenoConn>;
  close(): void;
  ref(): void;
  unref(): void;
}

interface DenoListen {
  listen(options: {
    hostname: string;
    port: number;
    reusePort: boolean;
    tcpBacklog?: number;
  }): DenoListener;
}

/** A `Deno.Listener` as a listener transport: one accept at a time, and only when asked. */
class DenoListenerTransport implements ListenerTransport {
  readonly native: DenoListener;
  #incoming!: IncomingConnections;
  #accepting = false;
  #closed = false;

  constructor(native: DenoListener) {
    this.native = native;
  }

  get addr(): NetAddr {
    return this.native.addr;
  }

  start(incoming: IncomingConnections): void {
    this.#incoming = incoming;
  }

  pull(): void {
    if (this.#accepting || this.#closed) return;
    this.#accepting = true;
    this.native.accept().then(this.#onAccept, this.#onError);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.native.close();
  }

  ref(): void {
    this.native.ref();
  }

  unref(): void {
    this.native.unref();
  }

  readonly #onAccept = (conn: DenoConn): void => {
    this.#accepting = false;
    if (this.#closed) return conn.close();
    this.#incoming.accepted(new DenoTransport(conn));
  };

  readonly #onError = (cause: unknown): void => {
    this.#accepting = false;
    if (!this.#closed) this.#incoming.failed(cause);
  };
}
