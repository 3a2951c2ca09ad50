/**
 * The receiving half of a connection: bytes that arrived and calls that wait for bytes.
 *
 * @module
 */

import type { Incoming, Transport } from "./adapter.ts";
import { Backlog, give, highWater } from "./backlog.ts";
import { Call, type CallOptions, CallQueue, type Diagnose } from "./calls.ts";
import { changed } from "./check.ts";
import { SocketError, type TimeoutErrorOptions, toSocketError } from "./errors.ts";
import type { TimerQueue } from "./timers.ts";

/** What a read resolves to: a count (`read`), a chunk (`readChunk`), or `null` at the end. */
type Result = number | Uint8Array | null;

class ReadCall extends Call<Result> {
  /** Where to put the bytes; `undefined` asks for a chunk. */
  into: Uint8Array | undefined = undefined;
}

/** Of every reader that has not had to keep anything yet. */
const nothing = new Backlog();

/** Serves reads in order from what has arrived; nothing that arrives is ever dropped. */
export class Reader extends CallQueue<Result, ReadCall> implements Incoming {
  /** Default limit of a read, ms. */
  timeout: number | null;
  /** Bytes given to callers so far. */
  bytesRead = 0;
  readonly #transport: Transport;
  readonly #diagnose: Diagnose | undefined;
  /** Arrived and not read. */
  #backlog = nothing;
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
    super(timers);
    this.#transport = transport;
    this.timeout = timeout;
    this.#diagnose = diagnose;
  }

  /** `close` was called. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Reads what is there, at most `into.length` bytes. `null`: the peer has finished. */
  read(into: Uint8Array, options: CallOptions | undefined): Promise<number | null> {
    const refusal = this.refusal(options);
    if (refusal !== undefined) return Promise.reject(refusal.reason);
    if (into.length === 0) return Promise.resolve(0);
    if (this.#backlog.size > 0 && this.head === undefined) {
      return Promise.resolve(this.#fill(into));
    }
    return this.#wait(into, into.length, options) as Promise<number | null>;
  }

  /** Reads one chunk, which then belongs to the caller. `null`: the peer has finished. */
  readChunk(options?: CallOptions): Promise<Uint8Array | null> {
    const refusal = this.refusal(options);
    if (refusal !== undefined) return Promise.reject(refusal.reason);
    if (this.#backlog.size > 0 && this.head === undefined) {
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
      this.leave(call);
      call.resolve(lent ? chunk.slice() : chunk);
    } else {
      const size = give(chunk, 0, call.into);
      this.bytesRead += size;
      this.leave(call);
      call.into = undefined;
      call.resolve(size);
      if (size < chunk.length) {
        if (lent) this.#keep(chunk.slice(size), 0);
        else this.#keep(chunk, size);
      }
    }
    // More calls than one were waiting: rare enough for a second round.
    const waiting = this.head;
    if (waiting === undefined) return;
    this.#serve();
    if (this.head !== undefined) this.#transport.pull(waiting.into?.length ?? 0);
  }

  /** The peer has finished. */
  end(): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#ended = true;
    for (let call = this.head; call !== undefined; call = this.head) {
      this.leave(call);
      call.into = undefined;
      call.resolve(null);
    }
  }

  /** The connection is gone. What has arrived can still be read, then every read rejects. */
  failed(cause: unknown): void {
    if (this.#closed || this.#ended || this.#failure !== undefined) return;
    this.#failure = { cause };
    this.rejectAll(() => this.#error(cause));
  }

  /** Rejects what waits; drops what was not read. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#backlog = nothing;
    this.rejectAll(() => this.#refused("ECANCELED"));
    this.dispose();
  }

  create(): ReadCall {
    return new ReadCall(this);
  }

  describe(): Omit<TimeoutErrorOptions, "timeout"> {
    return {
      operation: "read",
      address: this.#transport.remoteAddr,
      diagnosis: this.#diagnose?.(this.#transport.native, this.timers),
    };
  }

  override left(call: ReadCall): void {
    call.into = undefined;
  }

  override refusal(options: CallOptions | undefined): { reason: unknown } | undefined {
    return this.#closed ? { reason: this.#refused("EBADF") } : super.refusal(options);
  }

  #refused(code: string): SocketError {
    return new SocketError({ code, operation: "read", address: this.#transport.remoteAddr });
  }

  #wait(into: Uint8Array | undefined, size: number, options?: CallOptions): Promise<Result> {
    if (this.#ended) return Promise.resolve(null);
    if (this.#failure !== undefined) return Promise.reject(this.#error(this.#failure.cause));
    const call = this.take();
    call.into = into;
    const promise = this.enter(call, options, this.timeout);
    this.#transport.pull(size);
    return promise;
  }

  #error(cause: unknown): Error {
    return toSocketError(cause, "read", this.#transport.remoteAddr);
  }

  /** The call to be served next. One whose memory is not there any more is refused instead. */
  #first(): ReadCall | undefined {
    for (;;) {
      const call = this.head;
      if (call?.into?.length !== 0) return call;
      this.leave(call);
      call.into = undefined;
      call.reject(changed("read", "into"));
    }
  }

  #serve(): void {
    while (this.#backlog.size > 0) {
      const call = this.#first();
      if (call === undefined) return;
      const { into } = call;
      this.leave(call);
      call.into = undefined;
      call.resolve(into === undefined ? this.#takeChunk() : this.#fill(into));
    }
  }

  /** Keeps `chunk` from `offset` on. An offset comes only with the first chunk. */
  #keep(chunk: Uint8Array, offset: number): void {
    if (this.#backlog === nothing) this.#backlog = new Backlog();
    this.#backlog.add(chunk, offset);
    if (this.#backlog.full && !this.#paused) {
      this.#paused = true;
      this.#transport.pause();
    }
  }

  #fill(into: Uint8Array): number {
    const size = this.#backlog.fill(into);
    this.#taken(size);
    return size;
  }

  #takeChunk(): Uint8Array {
    const chunk = this.#backlog.first();
    this.#taken(chunk.length);
    return chunk;
  }

  #taken(size: number): void {
    this.bytesRead += size;
    if (this.#paused && this.#backlog.low) {
      this.#paused = false;
      this.#transport.pull(highWater);
    }
  }
}
