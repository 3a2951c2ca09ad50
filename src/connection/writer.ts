/** The sending half of a connection: calls that wait until the kernel has their bytes. */

import type { Outgoing } from "../adapter.ts";
import { Call, type CallOptions } from "../time/calls.ts";
import { changed, part } from "../memory.ts";
import { retraced, type TimeoutErrorOptions, toSocketError } from "../errors.ts";
import { Direction } from "./direction.ts";
import { FinWait } from "./fin_wait.ts";
import { hold, release } from "../time/hold.ts";
import { over, spend } from "../time/turn.ts";

const nothing = new Uint8Array(0);
/** How much is passed to the transport at a time, so that the clock is read in between. */
const piece = 262_144;

class WriteCall extends Call<number> {
  data: Uint8Array = nothing;
  /** The length that `data` had when `write` was called. */
  size = 0;
  /** How many bytes of `data` the connection has taken to send. */
  offset = 0;
  /** Whether the call sends FIN instead of data. */
  fin = false;
}

/** Sends the data of writes in order. The error of a write that fails says how many bytes were taken. */
export class Writer extends Direction<number, WriteCall> implements Outgoing {
  /** How many bytes the connection has taken to send so far. */
  bytesWritten = 0;
  /** Set when FIN waits for its turn or was sent. */
  #fin: Promise<void> | undefined = undefined;
  /** Set when the transport was told to send FIN, which it is told once. */
  #sent: Promise<void> | undefined = undefined;
  /** Whether FIN was sent. */
  finished = false;
  /** Whether the last bytes are the beginning of a write that was given up. */
  #cut = false;

  protected override get operation(): "write" {
    return "write";
  }

  /** Resolves to `data.length` once the kernel has all of `data`. */
  write(data: Uint8Array, options: CallOptions | undefined): Promise<number> {
    const refusal = this.refusal(options);
    if (refusal !== undefined) return Promise.reject(refusal.reason);
    if (data.length === 0 && (this.failure !== undefined || !this.#isBusy)) {
      return Promise.resolve(0);
    }
    if (this.failure !== undefined) return Promise.reject(this.error());
    let taken = 0;
    if (!this.#isBusy && !over) {
      taken = this.#hand(data, 0);
      if (this.failure !== undefined) return Promise.reject(this.error());
      if (taken === data.length && !this.transport.writing) return Promise.resolve(taken);
    }
    const call = this.take();
    // A view of our own, since the caller can still change the properties of `data`.
    call.data = part(data, 0);
    call.size = data.length;
    call.offset = taken;
    if (!this.transport.writing) this.turn();
    return this.enter(call, options, this.timeout);
  }

  /** Sends FIN after all that was written before. Later calls wait for the same FIN. */
  closeWrite(options?: CallOptions): Promise<void> {
    if (this.#fin === undefined || this.closed) {
      const refusal = super.refusal(options);
      if (refusal !== undefined) return Promise.reject(refusal.reason);
      if (this.failure !== undefined) return Promise.reject(this.error());
      this.#fin = this.#finish(options);
    } else if (options !== undefined) {
      if (this.head !== undefined) return this.#await(options);
      if (this.#sent !== undefined) return this.#sendFin(options);
    }
    return this.#fin;
  }

  /** Waits for a FIN of an earlier call with other limits. If that times out, this call sends FIN. */
  async #await(options: CallOptions): Promise<void> {
    const refusal = super.refusal(options);
    if (refusal !== undefined) throw refusal.reason;
    await this.enter(this.take(), options, this.timeout);
    await this.closeWrite(options);
  }

  async #finish(options: CallOptions | undefined): Promise<void> {
    if (this.#isBusy) {
      const call = this.take();
      call.fin = true;
      await this.enter(call, options, this.timeout);
    }
    try {
      // The connection was closed meanwhile, for which the runtimes have different errors.
      if (this.closed) throw this.refused("ECANCELED");
      this.watch?.wake();
      this.watch?.keep();
      await this.#sendFin(options);
    } catch (error) {
      // Later calls wait for FIN again, or get the error that ended the connection.
      this.#fin = undefined;
      throw error;
    }
  }

  /** Over TLS, FIN comes after a message that the kernel may have no room for, so this wait has a limit too. */
  async #sendFin(options: CallOptions | undefined): Promise<void> {
    const sent = this.#sent ??= this.#tellTransport();
    const { referenced } = this;
    // The runtime's socket does not keep the process alive, in Deno not even while it sends FIN.
    if (referenced) hold();
    try {
      if (this.transport.tls === undefined) return await sent;
      sent.catch(() => {});
      const refusal = super.refusal(options);
      if (refusal !== undefined) throw refusal.reason;
      const describe = () => this.describe(this.create());
      await new FinWait(sent, options ?? {}, this.timeout, describe).promise;
    } catch (error) {
      throw retraced(error);
    } finally {
      if (referenced) release();
    }
  }

  async #tellTransport(): Promise<void> {
    try {
      await this.transport.closeWrite();
      this.#cut = false;
      this.finished = true;
      this.watch?.finished();
    } catch (error) {
      this.#sent = undefined;
      throw toSocketError(error, "write", this.transport.remoteAddr);
    }
  }

  override notIdle(): string | undefined {
    return super.notIdle() ??
      (this.#fin !== undefined ? "EPIPE" : this.transport.writing ? "EBUSY" : undefined);
  }

  /** Whether a new call has to wait for earlier ones, or for bytes of one that was given up. */
  get #isBusy(): boolean {
    return this.head !== undefined || this.transport.writing;
  }

  /** Whether bytes or FIN were passed to the runtime and are not known to be passed to the kernel. */
  get sending(): boolean {
    return this.transport.writing || this.#sent !== undefined && !this.finished;
  }

  /** Whether bytes wait for the kernel to take them. */
  get waiting(): boolean {
    return this.transport.writing;
  }

  /**
   * Passes on what only waits for a turn of the event loop. Returns whether a write was not passed on whole:
   * one that still waits, or one that was given up and not continued.
   */
  flush(): boolean {
    this.transport.hasten?.();
    if (!this.transport.writing) this.drained(true);
    let call = this.head;
    while (call !== undefined && call.offset === call.size) call = call.next;
    return call !== undefined || this.#cut;
  }

  /** Called when the kernel has taken everything so far. */
  drained(hurry = false): void {
    this.idle?.moved();
    for (let call = this.head; call !== undefined; call = this.head) {
      if (call.offset < call.size) {
        if (over && !hurry) return this.turn();
        if (call.data.length !== call.size) {
          this.leave(call);
          call.reject(changed("write", "data"));
          this.left(call);
          continue;
        }
        call.offset = this.#hand(call.data, call.offset);
        if (this.transport.writing || this.failure !== undefined) return;
      } else {
        this.leave(call);
        call.resolve(call.offset);
        // FIN is sent now. Calls after it were refused.
      }
    }
  }

  /** Rejects the waiting calls, unless it turns out that the kernel has all their bytes. */
  override close(): void {
    const first = this.head;
    if (first !== undefined && first.size > 0 && first.offset === first.size) {
      const { size } = first;
      const flushed = this.transport.flushed?.();
      if (flushed !== undefined) this.leave(first);
      flushed?.then(
        () => first.resolve(size),
        (cause) => first.reject(toSocketError(cause, "write", this.transport.remoteAddr)),
      );
    }
    super.close();
  }

  dropped(bytes: number): void {
    this.bytesWritten -= bytes;
  }

  override take(): WriteCall {
    const call = super.take();
    call.size = call.offset = 0;
    call.fin = false;
    return call;
  }

  override leave(call: WriteCall): void {
    super.leave(call);
    // The call is kept for the next write, and must not keep the caller's memory.
    call.data = nothing;
  }

  create(): WriteCall {
    return new WriteCall(this);
  }

  override describe(call: WriteCall): Omit<TimeoutErrorOptions, "timeout"> {
    return { ...super.describe(call), bytesWritten: call.offset };
  }

  override left(call: WriteCall): void {
    if (call.fin) this.#fin = undefined;
    if (call.offset > 0 && call.offset < call.size) this.#cut = true;
  }

  protected override resume(): void {
    if (!this.transport.writing) this.drained();
  }

  /** Passes `data` on from `offset` until it has to wait. Returns the new offset. */
  #hand(data: Uint8Array, offset: number): number {
    const size = data.length;
    do {
      const end = Math.min(offset + piece, size);
      const taken = this.transport.write(end - offset === size ? data : part(data, offset, end));
      offset += taken;
      if (taken > 0) this.#cut = false;
      this.bytesWritten += taken;
      spend(taken);
    } while (offset < size && !this.transport.writing && this.failure === undefined && !over);
    this.watch?.wake();
    this.idle?.moved();
    return offset;
  }

  override refusal(options: CallOptions | undefined): { reason: unknown } | undefined {
    const refusal = super.refusal(options);
    if (refusal !== undefined || this.#fin === undefined && this.#sent === undefined) {
      return refusal;
    }
    return { reason: this.refused("EPIPE") };
  }
}
