/** What happens to a connection before somebody reads from it. */

import type { Incoming, Outgoing } from "../adapter.ts";

/** Collects events until there is a reader and a writer to report them to. */
export class Early implements Incoming, Outgoing {
  readonly #chunks: Uint8Array[] = [];
  #ended = false;
  #failure: { cause: unknown } | undefined = undefined;

  get any(): boolean {
    return this.#chunks.length > 0;
  }

  data(chunk: Uint8Array, lent: boolean): void {
    this.#chunks.push(lent ? chunk.slice() : chunk);
  }

  end(): void {
    this.#ended = true;
  }

  failed(cause: unknown): void {
    this.#failure ??= { cause };
  }

  drained(): void {}

  replay(incoming: Incoming, outgoing: Outgoing): void {
    for (const chunk of this.#chunks) incoming.data(chunk, false);
    if (this.#ended) incoming.end();
    if (this.#failure === undefined) return;
    incoming.failed(this.#failure.cause);
    outgoing.failed(this.#failure.cause);
  }
}
