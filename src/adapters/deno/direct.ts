/**
 * Transfers in the caller's own stack, for connections that are busy.
 *
 * `conn.write` is asynchronous: it takes a promise, a turn of the event loop and, so that the caller
 * may reuse its memory, a copy of the data. A direct `send(2)` takes none of them, and what it
 * answers is exact. It saves about a tenth of a small round trip (`deno task bench --only echo`).
 * `conn.read` cannot be called off, so it needs memory of its own and a copy as well; what has arrived
 * already a direct `recv(2)` puts where the caller wants it (`deno task bench --only bulk`).
 *
 * @module
 */

import { type DenoConn, descriptorOf } from "./handle.ts";
import { type Transfers, transfers } from "./kernel.ts";

/** Finding a descriptor costs as much as this many transfers save. */
const worthwhile = 16;

/**
 * Direct transfers of one connection. Only for one that nobody else can close: after that its number
 * may belong to another.
 */
export class Direct {
  readonly #conn: DenoConn;
  #fd = -1;
  #transfers: Transfers | undefined = undefined;
  #uses = 0;

  constructor(conn: DenoConn) {
    this.#conn = conn;
  }

  /** Sends what the kernel takes at once. Answers how many bytes, 0 also when it is not to be used. */
  send(data: Uint8Array): number {
    return this.#ready() ? this.#transfers!.send(this.#fd, data) : 0;
  }

  /** Receives what the kernel has. Answers how many bytes, 0 also at the end and when not to be used. */
  receive(into: Uint8Array): number {
    return this.#ready() ? this.#transfers!.receive(this.#fd, into) : 0;
  }

  #ready(): boolean {
    return this.#fd >= 0 || ++this.#uses === worthwhile && this.#find();
  }

  #find(): boolean {
    this.#transfers = transfers();
    if (this.#transfers === undefined) return false;
    try {
      this.#fd = descriptorOf(this.#conn);
      return true;
    } catch {
      // Closed at the other end, perhaps: then it goes on without.
      return false;
    }
  }
}
