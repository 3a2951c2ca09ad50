/**
 * Adds TLS to dialling.
 *
 * @module
 */

import type { Attempt, Transport } from "../adapter.ts";
import { adapter } from "../runtime.ts";
import type { TlsPlan } from "./options.ts";

/** Prepares the connection of another attempt, and then starts TLS on it. */
export class SecureAttempt implements Attempt {
  readonly opened: Promise<Transport>;
  waitsFor: string | undefined = undefined;
  #running: Attempt;
  #over = false;

  constructor(attempt: Attempt, plan: TlsPlan, prepare: (transport: Transport) => void) {
    this.#running = attempt;
    this.opened = attempt.opened.then((transport) => {
      if (this.#over) return transport.close() as never;
      try {
        prepare(transport);
        this.#running = adapter().secure(transport, plan);
      } catch (error) {
        transport.close();
        throw error;
      }
      this.waitsFor = "connected, and the peer has not finished the TLS handshake";
      return this.#running.opened;
    });
  }

  abort(): void {
    this.#over = true;
    this.#running.abort();
  }
}
