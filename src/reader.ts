/**
 * The receiving half of a connection: bytes that arrived and calls that wait for bytes.
 *
 * @module
 */

import type { Incoming, Transport } from "./adapter.ts";
import { Call, type CallOptions, type CallOwner, CallQueue, type Diagnose } from "./calls.ts";
import { changed } from "./check.ts";
import { SocketError, type TimeoutErrorOptions, toSocketError } from "./errors.ts";
import type { TimerQueue } from "./timers.ts";

/** What a read resolves to: a count (`read`), a chunk (`readChunk`), or `null` at the end. */
type Result = number | Uint8Array | null;

class ReadCall extends Call<Result> {
  /** Where to put the bytes; `undefined` asks for a chunk. */
  into: Uint8Array | undefined = undefined;
}

/** From here on the transport is told to pause, so that TCP holds the sender back. */
const highWater = 65_536;
/** Or when there are so many chunks: tiny ones take far more memory and time than their bytes. */
const mostChunks = 256;

/** Serves reads in order from what has arrived; nothing that arrives is ever dropped. */
export class Reader implements Incoming, CallOwner<Result, ReadCall> {
  /** Default limit of a read, ms. */
  timeout: number | null;
  /** Bytes given to callers so far. */
  bytesRead = 0;
  readonly #transport: Transport;
  readonly #diagnose: Diagnose | undefined;
  readonly #calls: CallQueue<Result, ReadCall>;
  /** Arrived and not read: chunks in order, of the first one from `#offset` on. */
  #chunks: Uint8Array[] = [];
  #offset = 0;
  #buffered = 0;
  #paused = false;
  #ended = false;
  #closed = false;
  #failure: { cause: unknown } | undefined = undefined;

  constructor(
    transport: Transport,
    timeout: number | null,
    timers: TimerQueue,
    diagnose?: Diagnose,
  ) {
    this.#transport = transport;
    this.timeout = timeout;
    this.#diagnose = diagnose;
    this.#calls = new CallQueue(this, timers);
  }

  /** `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Reads what is there, at most `into.length` bytes. `null`: the peer has finished. */
  read(into: Uint8Array, options: CallOptions | undefined): Promise<number | null> {
    const refusal = this.#refusal(options);
    if (refusal !== undefined) return Promise.reject(refusal.reason);
    if (into.length === 0) return Promise.resolve(0);
    if (this.#buffered > 0 && this.#calls.head === undefined) {
      return Promise.resolve(this.#fill(into));
    }
    return this.#wait(into, into.length, options) as Promise<number | null>;
  }

  /** Reads one chunk, which then belongs to the caller. `null`: the peer has finished. */
  readChunk(options?: CallOptions): Promise<Uint8Array | null> {
    const refusal = this.#refusal(options);
    if (refusal !== undefined) return Promise.reject(refusal.reason);
    if (this.#buffered > 0 && this.#calls.head === undefined) {
      return Promise.resolve(this.#takeChunk());
    }
    return this.#wait(undefined, 0, options) as Promise<Uint8Array | null>;
  }

  /** Bytes have arrived: first to whoever waits, the rest is kept. */
  data(chunk: Uint8Array, lent: boolean): void {
    if (this.#closed) return;
    const call = this.#first();
    if (call === undefined) return this.#keep(lent ? chunk.slice() : chunk, 0);
    if (call.into === undefined) {
      this.bytesRead += chunk.length;
      this.#calls.leave(call);
      call.resolve(lent ? chunk.slice() : chunk);
    } else {
      const size = give(chunk, 0, call.into);
      this.bytesRead += size;
      this.#calls.leave(call);
      call.into = undefined;
      call.resolve(size);
      if (size < chunk.length) {
        if (lent) this.#keep(chunk.slice(size), 0);
        else this.#keep(chunk, size);
      }
    }
    // More calls than one were waiting: rare enough for a second round.
    const waiting = this.#calls.head;
    if (waiting === undefined) return;
    this.#serve();
    if (this.#calls.head !== undefined) this.#transport.pull(waiting.into?.length ?? 0);
  }

  /** The peer has finished. */
  end(): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#ended = true;
    for (let call = this.#calls.head; call !== undefined; call = this.#calls.head) {
      this.#calls.leave(call);
      call.into = undefined;
      call.resolve(null);
    }
  }

  /** The connection is gone. What has arrived can still be read, then every read rejects. */
  failed(cause: unknown): void {
    if (this.#closed || this.#ended || this.#failure !== undefined) return;
    this.#failure = { cause };
    this.#calls.rejectAll(() => this.#error(cause));
  }

  /** Rejects what waits; drops what was not read. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#chunks = [];
    this.#buffered = 0;
    const address = this.#transport.remoteAddr;
    this.#calls.rejectAll(() => new SocketError({ code: "ECANCELED", operation: "read", address }));
    this.#calls.dispose();
  }

  create(queue: CallQueue<Result, ReadCall>): ReadCall {
    return new ReadCall(queue as unknown as CallQueue<Result, Call<Result>>);
  }

  describe(): Omit<TimeoutErrorOptions, "timeout"> {
    return {
      operation: "read",
      address: this.#transport.remoteAddr,
      diagnosis: this.#diagnose?.(this.#transport.native, this.#calls.timers),
    };
  }

  left(call: ReadCall): void {
    call.into = undefined;
  }

  /** Why a read cannot even start. An object, since an abort's reason may be `undefined`. */
  #refusal(options: CallOptions | undefined): { reason: unknown } | undefined {
    if (this.#closed) {
      const address = this.#transport.remoteAddr;
      return { reason: new SocketError({ code: "EBADF", operation: "read", address }) };
    }
    return options === undefined ? undefined : this.#calls.refusal(options);
  }

  #wait(into: Uint8Array | undefined, size: number, options?: CallOptions): Promise<Result> {
    if (this.#ended) return Promise.resolve(null);
    if (this.#failure !== undefined) return Promise.reject(this.#error(this.#failure.cause));
    const call = this.#calls.take();
    call.into = into;
    const promise = this.#calls.enter(call, options, this.timeout);
    this.#transport.pull(size);
    return promise;
  }

  #error(cause: unknown): Error {
    return toSocketError(cause, "read", this.#transport.remoteAddr);
  }

  /** The call to be served next. One whose memory is not there any more is refused instead. */
  #first(): ReadCall | undefined {
    for (;;) {
      const call = this.#calls.head;
      if (call?.into?.length !== 0) return call;
      this.#calls.leave(call);
      call.into = undefined;
      call.reject(changed("read", "into"));
    }
  }

  #serve(): void {
    while (this.#buffered > 0) {
      const call = this.#first();
      if (call === undefined) return;
      const { into } = call;
      this.#calls.leave(call);
      call.into = undefined;
      call.resolve(into === undefined ? this.#takeChunk() : this.#fill(into));
    }
  }

  /** Keeps `chunk` from `offset` on. An offset comes only with the first chunk. */
  #keep(chunk: Uint8Array, offset: number): void {
    if (this.#buffered === 0) this.#offset = offset;
    this.#chunks.push(chunk);
    this.#buffered += chunk.length - offset;
    const full = this.#buffered >= highWater || this.#chunks.length >= mostChunks;
    if (full && !this.#paused) {
      this.#paused = true;
      this.#transport.pause();
    }
  }

  #fill(into: Uint8Array): number {
    let size = 0;
    while (size < into.length && this.#buffered > 0) {
      const chunk = this.#chunks[0]!;
      const given = give(chunk, this.#offset, size === 0 ? into : into.subarray(size));
      size += given;
      this.#consume(chunk, given);
    }
    return size;
  }

  #takeChunk(): Uint8Array {
    const chunk = this.#chunks[0]!;
    const rest = this.#offset === 0 ? chunk : chunk.subarray(this.#offset);
    this.#consume(chunk, rest.length);
    return rest;
  }

  #consume(chunk: Uint8Array, size: number): void {
    this.bytesRead += size;
    this.#buffered -= size;
    this.#offset += size;
    if (this.#offset === chunk.length) {
      this.#chunks.shift();
      this.#offset = 0;
    }
    const low = this.#buffered < highWater / 2 && this.#chunks.length < mostChunks / 2;
    if (low && this.#paused) {
      this.#paused = false;
      this.#transport.pull(highWater);
    }
  }
}

/** Copies as much of `chunk` from `offset` on as `into` takes. */
function give(chunk: Uint8Array, offset: number, into: Uint8Array): number {
  const size = Math.min(chunk.length - offset, into.length);
  into.set(
    offset === 0 && size === chunk.length ? chunk : chunk.subarray(offset, offset + size),
  );
  return size;
}
