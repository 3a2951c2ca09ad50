/**
 * Sends and receives by direct system calls, on connections that are busy.
 *
 * `conn.write` is asynchronous: it costs a promise, a turn of the event loop and, so that the caller may
 * reuse its memory, a copy of the data. A direct `send(2)` costs none of them, and its result is exact.
 * It saves about a tenth of a small round trip (`deno task bench --only echo`). `conn.read` cannot be
 * cancelled, so it needs memory of its own and a copy. A direct `recv(2)` puts bytes that have arrived
 * already right into the caller's memory (`deno task bench --only bulk`).
 */

import type { Kernel } from "../../kernel/kernel.ts";
import type { DenoConn } from "./deno.ts";
import { descriptorOf } from "./handle.ts";
import { loadKernel } from "./kernel.ts";

/** Finding the descriptor costs about as much time as this many direct transfers save. */
const worthwhile = 16;

/**
 * Direct transfers of one connection. They must not be used once the program may close the connection,
 * since its descriptor may then belong to another one.
 */
export class Direct {
  readonly #conn: DenoConn;
  #fd = -1;
  #kernel: Kernel | undefined = undefined;
  #uses = 0;

  constructor(conn: DenoConn) {
    this.#conn = conn;
  }

  /** Sends what the kernel takes at once. Returns how many bytes; 0 also when it cannot be used (yet). */
  send(data: Uint8Array): number {
    return this.#ready() ? this.#kernel!.send!(this.#fd, data) : 0;
  }

  /** Receives what the kernel has. Returns how many bytes; 0 also at the end, and if it cannot be used. */
  receive(into: Uint8Array): number {
    return this.#ready() ? this.#kernel!.receive!(this.#fd, into) : 0;
  }

  #ready(): boolean {
    return this.#fd >= 0 || ++this.#uses === worthwhile && this.#find();
  }

  #find(): boolean {
    this.#kernel = loadKernel().kernel;
    if (this.#kernel?.send === undefined) return false;
    try {
      this.#fd = descriptorOf(this.#conn);
      return true;
    } catch {
      // The peer may have closed the connection. It goes on without direct transfers.
      return false;
    }
  }
}
