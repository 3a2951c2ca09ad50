/**
 * Bytes that have arrived and nobody has read yet.
 *
 * @module
 */

/** With so much in it the next chunk makes the transport pause, so that TCP holds the sender back. */
export const highWater = 65_536;
/** Or when there are so many chunks: tiny ones take far more memory and time than their bytes. */
const mostChunks = 256;

/** Chunks in order, the first one from an offset on. */
export class Backlog {
  /** Bytes in it. */
  size = 0;
  readonly #chunks: Uint8Array[] = [];
  #offset = 0;

  get full(): boolean {
    return this.size >= highWater || this.#chunks.length >= mostChunks;
  }

  /** Whether there is room enough to go on after it was full. */
  get low(): boolean {
    return this.size < highWater / 2 && this.#chunks.length < mostChunks / 2;
  }

  /** Keeps `chunk` from `offset` on. An offset comes only with the first chunk. */
  add(chunk: Uint8Array, offset: number): void {
    if (this.size === 0) this.#offset = offset;
    this.#chunks.push(chunk);
    this.size += chunk.length - offset;
  }

  /** Puts back what was taken out last. */
  putBack(chunk: Uint8Array): void {
    const [first] = this.#chunks;
    if (first !== undefined) this.#chunks[0] = first.subarray(this.#offset);
    this.#chunks.unshift(chunk);
    this.#offset = 0;
    this.size += chunk.length;
  }

  /** Takes out as much as `into` holds. */
  fill(into: Uint8Array): number {
    let size = 0;
    while (size < into.length && this.size > 0) {
      const chunk = this.#chunks[0]!;
      const given = give(chunk, this.#offset, size === 0 ? into : into.subarray(size));
      size += given;
      this.#consume(chunk, given);
    }
    return size;
  }

  /** Takes out the first chunk, or what is left of it. */
  first(): Uint8Array {
    const chunk = this.#chunks[0]!;
    const rest = this.#offset === 0 ? chunk : chunk.subarray(this.#offset);
    this.#consume(chunk, rest.length);
    return rest;
  }

  #consume(chunk: Uint8Array, size: number): void {
    this.size -= size;
    this.#offset += size;
    if (this.#offset < chunk.length) return;
    this.#chunks.shift();
    this.#offset = 0;
  }
}

/** Copies as much of `chunk` from `offset` on as `into` takes. */
export function give(chunk: Uint8Array, offset: number, into: Uint8Array): number {
  const size = Math.min(chunk.length - offset, into.length);
  into.set(
    offset === 0 && size === chunk.length ? chunk : chunk.subarray(offset, offset + size),
  );
  return size;
}
