/** Makes a transport of a `Deno.Conn`. */

import type { Incoming, Outgoing, Transport } from "../../adapter.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { netAddr } from "../../kernel/sockaddr.ts";
import { nativeTimers } from "../../time/native_timers.ts";
import { Settling } from "../../time/settling.ts";
import { part } from "../../memory.ts";
import { coded, systemError } from "../../kernel/system_error.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { disconnect, hasPeer, lingerZero } from "../../kernel/tcp_socket.ts";
import type { DenoConn } from "./deno.ts";
import { Direct } from "./direct.ts";
import { handle } from "./handle.ts";
import { loadKernel } from "./kernel.ts";

/** The largest read, and the largest copy of a write. */
const chunkSize = 65_536;
/** A read that has to wait asks for at least this much, so that one read serves several small ones. */
const smallest = 1_024;
/**
 * A write for which the kernel has room is over after so many pauses of so many ms. On a busy machine a single
 * one could be over before the event loop has looked at the write.
 */
const [pauses, pause] = [4, 5];
/** How much is received directly in a row: copying this much takes about half a millisecond. */
const farthest = 1_048_576;

/**
 * Deno reads only when asked to, and can cancel neither a read nor a write
 * (https://github.com/denoland/deno/issues/13688). So each uses memory of ours and runs to its end, even
 * if the caller stops waiting for it.
 */
export class DenoTransport implements Transport {
  readonly native: DenoConn;
  writing = false;
  #localAddr: NetAddr | undefined = undefined;
  #remoteAddr: NetAddr | undefined = undefined;
  #incoming!: Incoming;
  #outgoing!: Outgoing;
  #reading = false;
  /** Whether an empty write before FIN is under way. */
  #finishing = false;
  #closed = false;
  #cut = false;
  #buffer: Uint8Array | undefined = undefined;
  /** How many more bytes may be received directly before the event loop has to turn. */
  #ahead = 0;
  /** Whether the chunk that is being read belongs to the receiver. */
  #given = false;
  /** How many bytes of the current write Deno has not written yet. */
  #unsent = 0;
  /** Settles the promise of `flushed`, which waits for the end of the current write. */
  #settled: Settling<void> | undefined = undefined;
  #writeFailure: { cause: unknown } | undefined = undefined;
  /** Whether the program does not have `native`, and so cannot close it. */
  #own: boolean;
  #direct: Direct | undefined = undefined;
  #holding = false;
  readonly #onRead: (size: number | null | Error) => void = this.#read.bind(this);

  constructor(native: DenoConn, own: boolean = false) {
    this.native = native;
    this.#own = own;
  }

  get localPort(): number {
    return this.native.localAddr.port;
  }

  get localAddr(): NetAddr {
    return this.#localAddr ??= copyOf(this.native.localAddr);
  }

  get remoteAddr(): NetAddr {
    return this.#remoteAddr ??= copyOf(this.native.remoteAddr);
  }

  start(incoming: Incoming, outgoing: Outgoing): void {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  pull(size: number): void {
    if (this.#reading || this.#closed) return;
    this.#reading = true;
    this.#given = size === 0;
    let buffer = this.#buffer;
    if (this.#given) buffer = new Uint8Array(chunkSize);
    else if (buffer === undefined || (buffer.length < size && buffer.length < chunkSize)) {
      buffer = new Uint8Array(Math.min(Math.max(size, smallest), chunkSize));
    }
    this.#buffer = buffer!;
    this.native.read(this.#buffer).then(this.#onRead, this.#onRead);
  }

  receive(into: Uint8Array): number {
    if (this.#ahead <= 0 || this.#reading || this.#closed || !this.#own) return 0;
    const size = this.#directly().receive(into);
    // The kernel has no more bytes when it gave fewer than there was room for.
    this.#ahead = size < into.length ? 0 : this.#ahead - size;
    if (size >= 0) return size;
    this.#readFailed(systemError(size, "read"));
    return 0;
  }

  /** Does nothing, since each `pull` reads one chunk only. */
  pause(): void {}

  write(data: Uint8Array): number {
    const sent = this.#own ? this.#directly().send(data) : 0;
    if (sent === data.length) return sent;
    if (sent < 0) {
      this.#failWrite(systemError(sent, "send"));
      return 0;
    }
    this.writing = true;
    const size = Math.min(data.length - sent, chunkSize);
    const memory = size <= smallest
      ? small.pop() ?? new Uint8Array(smallest)
      : large.pop() ?? new Uint8Array(chunkSize);
    memory.set(size === data.length ? data : part(data, sent, sent + size));
    void this.#writeOut(memory, size);
    return sent + size;
  }

  /** Writes the first `size` bytes of `memory`, and gives it back. */
  async #writeOut(memory: Uint8Array, size: number): Promise<void> {
    this.#unsent = size;
    let failure: { cause: unknown } | undefined;
    try {
      do {
        this.#unsent -= await this.native.write(memory.subarray(size - this.#unsent, size));
      } while (this.#unsent > 0 && !this.#closed);
    } catch (cause) {
      failure = { cause };
    }
    const pool = memory.length === smallest ? small : large;
    if (pool.length < 64) pool.push(memory);
    if (this.#closed) {
      const whole = this.#unsent === 0;
      if (this.writing) this.#shut(this.#cut || !whole);
      if (whole) this.#settled?.resolve();
      else this.#settled?.reject(failure?.cause ?? coded("ECANCELED", "closed"));
      return;
    }
    this.writing = false;
    if (failure === undefined) this.#outgoing.drained();
    else this.#failWrite(failure.cause);
  }

  #directly(): Direct {
    return this.#direct ??= new Direct(this.native);
  }

  expose(): void {
    this.#own = false;
  }

  isGone(): boolean {
    try {
      const fd = handle(this.native)!.fd();
      return !hasPeer(loadKernel().kernel!, fd);
    } catch (error) {
      // Without system calls there is no way to find out.
      return (error as { code?: string }).code === "EBADF";
    }
  }

  flushed(): Promise<void> | undefined {
    if (!this.writing || this.#closed) return undefined;
    return (this.#settled = new Settling()).promise;
  }

  /**
   * Writes nothing before it sends FIN, since an empty write fails when the peer has reset, and
   * `shutdown` does not. TLS connections take no empty write.
   */
  async closeWrite(): Promise<void> {
    const written = this.native.setNoDelay && this.native.write(new Uint8Array(0));
    this.#finishing = written !== undefined;
    // Closing the socket interrupts what is under way, and sends FIN as well.
    const unlessClosed = (cause: unknown) => {
      if (!this.#closed || (cause as Error).name !== "Interrupted") throw cause;
    };
    const finished = this.native.closeWrite().catch(unlessClosed);
    try {
      await written?.catch(unlessClosed);
    } catch (cause) {
      this.#failWrite(cause);
      throw cause;
    } finally {
      this.#finishing = false;
      await finished;
    }
  }

  close(cut: boolean = false): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cut = cut;
    if (!this.writing) return this.#shut(cut);
    // Deno reports a write that the kernel took at once only some turns of the event loop later.
    this.#settle(pauses);
  }

  #settle(left: number): void {
    if (!this.writing) return;
    if (left === 0) return this.#shut(true);
    nativeTimers().setTimeout(() => this.#settle(left - 1), pause);
  }

  #shut(cut: boolean): void {
    const lost = this.writing ? this.#unsent : 0;
    this.writing = false;
    // In TLS the peer notices by itself when a stream is cut off.
    if (cut && this.native.setNoDelay !== undefined) {
      const { kernel } = loadKernel();
      if (kernel === undefined) this.#outgoing.dropped?.(lost);
      else this.#sendReset(kernel);
    }
    try {
      this.native.close();
    } catch (error) {
      // The program has closed it already.
      if ((error as Error).name !== "BadResource") throw error;
    }
  }

  reset(kernel: () => Kernel): void {
    if (this.#closed) return;
    this.#sendReset(kernel());
    this.#closed = true;
    this.#shut(false);
  }

  #sendReset(calls: Kernel): void {
    try {
      const fd = handle(this.native)!.fd();
      lingerZero(calls, fd);
      // Deno shuts the writing half down before it closes, and after that FIN the kernel sends no
      // RST: https://docs.rs/tokio/1/tokio/net/tcp/struct.OwnedWriteHalf.html
      disconnect(calls, fd);
    } catch (error) {
      // The connection has ended, so there is no peer to send RST to.
      if ((error as { code?: string }).code !== "EBADF") throw error;
    }
  }

  unref(): void {
    this.native.unref();
  }

  /** Each read of a connection that is unref'd takes an operation more. */
  hold(on: boolean): void {
    if (on === this.#holding) return;
    this.#holding = on;
    if (on) this.native.ref();
    else this.native.unref();
  }

  /** One function for both outcomes, as every connection that waits for data has to keep it. */
  #read(size: number | null | Error): void {
    this.#reading = false;
    if (this.#closed) return;
    const buffer = this.#buffer!;
    if (size === null) return this.#onEnd();
    if (typeof size !== "number") return this.#readFailed(size);
    if (this.#given) {
      this.#buffer = undefined;
      this.#incoming.data(buffer.subarray(0, size), false);
    } else {
      if (size === buffer.length) {
        // After a full buffer there is probably more, so the next read is larger, or direct.
        if (size < chunkSize) this.#buffer = undefined;
        else this.#ahead = farthest;
      }
      this.#incoming.data(size === buffer.length ? buffer : buffer.subarray(0, size), true);
    }
  }

  /**
   * The kernel reports an error only once, to a read or a write. After that, reading ends as if the peer
   * had finished. So an end counts only if no write has failed.
   */
  #onEnd(): void {
    if ((this.writing || this.#finishing) && this.#writeFailure === undefined) {
      nativeTimers().setTimeout(() => this.#settleEnd(), 0);
    } else this.#settleEnd();
  }

  #settleEnd(): void {
    if (this.#closed) return;
    if (this.#writeFailure === undefined) return this.#incoming.end();
    this.#incoming.failed(this.#writeFailure.cause);
    this.close();
  }

  /** Closes the descriptor of a connection that is gone, as the other runtimes do by themselves. */
  #readFailed(cause: Error): void {
    this.#incoming.failed(cause);
    this.#outgoing.failed(cause);
    this.close();
  }

  #failWrite(cause: unknown): void {
    // EPIPE says only that the error was reported to an earlier call.
    const { name, code } = cause as { name?: string; code?: string };
    if (name !== "BrokenPipe" && code !== "EPIPE") this.#writeFailure = { cause };
    this.#outgoing.failed(cause);
  }
}

/** Copies an address: Deno's has no prototype, and after `startTls` no `transport`. */
function copyOf({ hostname, port }: NetAddr): NetAddr {
  return netAddr(hostname, port);
}

/** Memory for copies, shared by all connections, so that one that does not write holds none. */
const small: Uint8Array[] = [];
const large: Uint8Array[] = [];
