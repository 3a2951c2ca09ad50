/** The receiving half of a connection: bytes that have arrived, and calls that wait for bytes. */

import type { Incoming } from "../adapter.ts";
import { Backlog, highWater, type Take } from "./receive_buffer.ts";
import { Call, type CallOptions } from "../time/calls.ts";
import { changed, copyInto } from "../memory.ts";
import { Direction } from "./direction.ts";
import { over, spend } from "../time/turn.ts";
import { handshakeRecord } from "../tls/codes.ts";

/** The result of a read: how many bytes, or `null` at the end. */
type Result = number | null;

class ReadCall extends Call<Result> {
  /** Where to put the bytes. `undefined` means that `take` gets a chunk. */
  into: Uint8Array | undefined = undefined;
  take: Take | undefined = undefined;
}

/** Smaller reads do not call `receive`, since one large read of the transport serves many of them. */
const worthReceiving = 16_384;

/** Shared by all readers that have not had to keep anything yet. */
const nothing = new Backlog();

/** Serves reads in order from what has arrived. Nothing that arrives is lost. */
export class Reader extends Direction<Result, ReadCall> implements Incoming {
  /** How many bytes callers have got so far. */
  bytesRead = 0;
  /** What has arrived and was not read. */
  #backlog = nothing;
  #paused = false;
  /** Whether the peer has finished. */
  #ended = false;

  protected override get operation(): "read" {
    return "read";
  }

  get finished(): boolean {
    return this.#ended;
  }

  /** Reads what is there, at most `into.length` bytes. Resolves to `null` when the peer has finished. */
  read(into: Uint8Array, options: CallOptions | undefined): Promise<Result> {
    return this.#call(into, undefined, options);
  }

  /**
   * Passes one chunk to `take`, and resolves to how many bytes that took, or to `null` when the peer has
   * finished. What it does not take stays for the next call.
   */
  readChunk(take: Take, options?: CallOptions): Promise<Result> {
    return this.#call(undefined, take, options);
  }

  #call(
    into: Uint8Array | undefined,
    take: Take | undefined,
    options: CallOptions | undefined,
  ): Promise<Result> {
    const refusal = this.refusal(options);
    if (refusal !== undefined) return Promise.reject(refusal.reason);
    if (into?.length === 0) return Promise.resolve(0);
    if (this.#backlog.size > 0 && this.head === undefined && !over) {
      return Promise.resolve(this.#give(into, take));
    }
    const size = into?.length ?? 0;
    if (this.#backlog.size === 0) {
      if (this.#ended) return Promise.resolve(null);
      if (
        size >= worthReceiving && this.head === undefined && this.failure === undefined && !over
      ) {
        const received = this.transport.receive?.(into!) ?? 0;
        this.bytesRead += received;
        spend(received);
        if (received > 0) {
          this.idle?.moved();
          return Promise.resolve(received);
        }
        if (this.#ended) return Promise.resolve(null);
      }
      if (this.failure !== undefined) return Promise.reject(this.error());
    }
    const call = this.take();
    call.into = into;
    call.take = take;
    const promise = this.enter(call, options, this.timeout);
    if (over || this.#backlog.size > 0) this.turn();
    else {
      this.transport.hold?.(this.referenced);
      this.transport.pull(size);
    }
    return promise;
  }

  /** Called when bytes have arrived. The waiting calls get them first, and the rest is kept. */
  data(chunk: Uint8Array, lent: boolean): void {
    if (this.closed) return;
    this.idle?.moved();
    // If bytes are kept, calls wait for a turn of the event loop, and these bytes must come later.
    const call = this.#backlog.size > 0 ? undefined : this.#first();
    if (call === undefined) return this.#keep(lent ? chunk.slice() : chunk, 0);
    const { into, take } = call;
    if (into === undefined && lent) {
      chunk = chunk.slice();
      lent = false;
    }
    const size = into === undefined ? take!(chunk) : copyInto(chunk, 0, into);
    this.bytesRead += size;
    spend(size);
    this.leave(call);
    call.resolve(size);
    if (size < chunk.length) {
      if (lent) this.#keep(chunk.slice(size), 0);
      else this.#keep(chunk, size);
    } else if (into !== undefined && !lent) this.transport.copied?.(chunk);
    // More calls may be waiting, which is rare.
    const waiting = this.head;
    if (waiting === undefined) return;
    this.#serve();
    if (this.head !== undefined) this.transport.pull(waiting.into?.length ?? 0);
  }

  /** Called when the peer has finished. */
  end(): void {
    if (this.closed || this.failure !== undefined) return;
    if (!this.#ended) {
      this.#ended = true;
      this.watch?.finished();
    }
    this.#serve();
    for (let call = this.head; call !== undefined; call = this.head) {
      this.leave(call);
      call.resolve(null);
    }
  }

  /** Called when the connection is gone. What has arrived can still be read, then every read rejects. */
  override failed(cause: unknown): void {
    if (this.#ended) return;
    this.#serve();
    super.failed(cause);
  }

  /** Rejects the waiting calls, and discards what was not read. */
  override close(): void {
    this.#backlog = nothing;
    super.close();
  }

  /** With `hello`, a client may have begun its handshake already. */
  override notIdle(hello: boolean = false): string | undefined {
    const plain = this.#backlog.size > 0 && !(hello && this.#backlog.first === handshakeRecord);
    return super.notIdle() ?? (plain ? "EPROTO" : this.#ended ? "EPIPE" : undefined);
  }

  /** Takes out all that was not read. */
  takeRest(): Uint8Array {
    const rest = new Uint8Array(this.#backlog.size);
    this.#backlog.fill(rest, this.transport);
    return rest;
  }

  create(): ReadCall {
    return new ReadCall(this);
  }

  override leave(call: ReadCall): void {
    super.leave(call);
    // The call is kept for the next read, and must not keep the caller's memory.
    call.into = call.take = undefined;
  }

  override left(): void {
    this.#rest();
  }

  /** A read of the runtime's goes on when no call waits any more. */
  #rest(): void {
    if (this.head === undefined) this.transport.hold?.(false);
  }

  override reference(on: boolean): void {
    super.reference(on);
    this.transport.hold?.(on && this.head !== undefined);
  }

  protected override resume(): void {
    this.#serve();
    if (this.head === undefined) return;
    if (this.#ended) this.end();
    else if (this.failure !== undefined) this.rejectAll(() => this.error());
    else this.transport.pull(this.head.into?.length ?? 0);
  }

  /** The next call to be served. Calls whose memory was transferred or resized are rejected. */
  #first(): ReadCall | undefined {
    for (;;) {
      const call = this.head;
      if (call?.into?.length !== 0) return call;
      this.leave(call);
      call.reject(changed("read", "into"));
    }
  }

  #serve(): void {
    while (this.#backlog.size > 0) {
      const call = this.#first();
      if (call === undefined) return;
      const { into, take } = call;
      this.leave(call);
      call.resolve(this.#give(into, take));
    }
  }

  /** Keeps `chunk` from `offset` on. An offset comes only with the first chunk. */
  #keep(chunk: Uint8Array, offset: number): void {
    if (this.#backlog === nothing) this.#backlog = new Backlog();
    // A single chunk causes no pause, even if it is large, as it may be read at once.
    const full = this.#backlog.full;
    this.#backlog.add(chunk, offset);
    if (full && !this.#paused) {
      this.#paused = true;
      this.transport.pause();
    }
  }

  /** Gives a call what is kept, and returns how many bytes it took. */
  #give(into: Uint8Array | undefined, take: Take | undefined): number {
    const size = into === undefined
      ? this.#backlog.pass(take!)
      : this.#backlog.fill(into, this.transport);
    this.#taken(size);
    return size;
  }

  #taken(size: number): void {
    this.bytesRead += size;
    spend(size);
    if (this.#paused && this.#backlog.low) {
      this.#paused = false;
      this.#rest();
      this.transport.pull(highWater);
    }
  }
}
