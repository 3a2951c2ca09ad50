/** Bytes that have arrived and were not read yet. */

import type { Transport } from "../adapter.ts";
import { copyInto } from "../memory.ts";

/** If so many bytes are in it, the next chunk pauses the transport, so that TCP stops the sender. */
export const highWater = 65_536;
/** The same for the number of chunks, since tiny ones take much more memory than their bytes. */
const mostChunks = 256;

/** Takes bytes from the start of a chunk and returns how many. Of all it may keep the chunk, else copies. */
export type Take = (chunk: Uint8Array) => number;

/** Chunks in order, the first one from an offset on. */
export class Backlog {
  size = 0;
  readonly #chunks: Uint8Array[] = [];
  #offset = 0;

  get full(): boolean {
    return this.size >= highWater || this.#chunks.length >= mostChunks;
  }

  /** Whether it is empty enough to receive again after it was full. */
  get low(): boolean {
    return this.size < highWater / 2 && this.#chunks.length < mostChunks / 2;
  }

  /** The first byte, if there is one. */
  get first(): number | undefined {
    return this.#chunks[0]?.[this.#offset];
  }

  /** Keeps `chunk` from `offset` on. An offset comes only with the first chunk. */
  add(chunk: Uint8Array, offset: number): void {
    if (this.size === 0) this.#offset = offset;
    this.#chunks.push(chunk);
    this.size += chunk.length - offset;
  }

  /** Takes out as much as `into` holds. */
  fill(into: Uint8Array, transport: Pick<Transport, "copied">): number {
    let size = 0;
    while (size < into.length && this.size > 0) {
      const chunk = this.#chunks[0]!;
      const given = copyInto(chunk, this.#offset, size === 0 ? into : into.subarray(size));
      size += given;
      this.#consume(chunk, given);
      if (this.#chunks[0] !== chunk) transport.copied?.(chunk);
    }
    return size;
  }

  /** Passes what is left of the first chunk to `take`, and takes out what that takes. */
  pass(take: Take): number {
    const chunk = this.#chunks[0]!;
    const size = take(this.#offset === 0 ? chunk : chunk.subarray(this.#offset));
    this.#consume(chunk, size);
    return size;
  }

  #consume(chunk: Uint8Array, size: number): void {
    this.size -= size;
    this.#offset += size;
    if (this.#offset < chunk.length) return;
    this.#chunks.shift();
    this.#offset = 0;
  }
}
