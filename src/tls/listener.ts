/** A listener that does the TLS handshake of each connection before `accept` returns it. */

import type { IncomingConnections, ListenerTransport, Transport } from "../adapter.ts";
import type { NetAddr } from "../kernel/address.ts";
import { timers } from "../time/timers.ts";
import { LimitedHandshake } from "./handshake.ts";
import type { ServerPlan } from "./options.ts";

/** Handshakes run side by side, each under the same limit. One that fails does not affect the others. */
export class TlsListener implements ListenerTransport, IncomingConnections {
  readonly #inner: ListenerTransport;
  readonly #plan: ServerPlan;
  /** Limit of a handshake, ms. */
  readonly #timeout: number;
  readonly #prepare: (transport: Transport) => void;
  readonly #running = new Set<LimitedHandshake>();
  #failed = 0;
  #incoming!: IncomingConnections;

  constructor(
    inner: ListenerTransport,
    plan: ServerPlan,
    timeout: number,
    prepare: (transport: Transport) => void,
  ) {
    this.#inner = inner;
    this.#plan = plan;
    this.#timeout = timeout;
    this.#prepare = prepare;
  }

  get native(): object {
    return this.#inner.native;
  }

  get addr(): NetAddr {
    return this.#inner.addr;
  }

  get handshakes(): { running: number; failed: number } {
    return { running: this.#running.size, failed: this.#failed };
  }

  get full(): boolean {
    return this.#incoming.full;
  }

  start(incoming: IncomingConnections): void {
    this.#incoming = incoming;
    this.#inner.start(this);
    // A client's handshake must not wait until `accept` is called.
    this.#inner.pull();
  }

  pull(): void {
    this.#inner.pull();
  }

  accepted(transport: Transport): void {
    try {
      this.#prepare(transport);
      this.#secure(transport);
    } catch {
      // The client has gone already.
      transport.close();
    }
    // A slow client must not hold up the clients after it.
    if (!this.full) this.#inner.pull();
  }

  failed(cause: unknown): void {
    this.#incoming.failed(cause);
  }

  #secure(transport: Transport): void {
    const timeout = this.#timeout;
    const handshake = new LimitedHandshake(
      transport,
      this.#plan,
      { operation: "accept", timeout, address: transport.remoteAddr },
      timers.now() + timeout,
    );
    this.#running.add(handshake);
    handshake.promise.then((secured) => {
      this.#running.delete(handshake);
      this.#incoming.accepted(secured);
    }, () => {
      if (this.#running.delete(handshake)) this.#failed++;
    });
  }

  stop(): void {
    this.#inner.close();
  }

  close(): void {
    this.#inner.close();
    for (const handshake of this.#running) handshake.callOff(undefined);
    this.#running.clear();
  }

  unref(): void {
    this.#inner.unref();
  }
}
