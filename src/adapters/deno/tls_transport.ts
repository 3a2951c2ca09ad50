/** A transport that encrypts by the object inside of a TLS socket of `node:tls`. */

import type { Incoming, Outgoing, Transport } from "../../adapter.ts";
import type { NetAddr } from "../../kernel/address.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { copyInto, free, part, unshared } from "../../memory.ts";
import { host } from "../../kernel/system.ts";
import { nativeTimers } from "../../time/native_timers.ts";
import { Settling } from "../../time/settling.ts";
import type { TlsInformation } from "../../tls/information.ts";
import { Early } from "../early.ts";
import { destroyed, truncation } from "../errors.ts";
import type { OpeningSession, TlsSocket } from "../node/tls.ts";
import { coded } from "../../kernel/system_error.ts";

/**
 * The object inside of a TLS socket over a stream. Not documented. Each method has done its work when it
 * returns, and copies what it is given.
 */
interface Wrap {
  /** Called when bytes were decrypted, or none are left and `close_notify` has come. */
  onread: () => void;
  onerror: (cause: unknown) => void;
  readStart(): number;
  /** Bytes that are decrypted are put there, before each call of `onread`. */
  useUserBuffer(memory: Uint8Array): void;
  getBytesRead(): number;
  isEstablished(): boolean;
  /** Takes encrypted bytes. Calls `onread` and `onerror` before it returns. */
  readBuffer(encrypted: Uint8Array): void;
  /** Returns the encrypted bytes that are to be sent, which may be none. */
  drainEncOut(): Uint8Array;
  writeBuffer(request: object, data: Uint8Array): number;
  /** Writes `close_notify`. */
  shutdown(request: object): number;
}

/** Methods that are called, which another version of Deno may lack. */
const needed = [
  ...["isEstablished", "readBuffer", "drainEncOut", "writeBuffer", "shutdown"] as const,
  ...["useUserBuffer", "getBytesRead"] as const,
];

/** How much is encrypted at a time: as much as Deno takes at once. */
const chunkSize = 49_152;
/** The largest record of TLS. */
const recordSize = 16_384;
/** How many bytes are read before they are asked for. */
const mostAhead = 4_096;
/** The smallest and the largest read of encrypted bytes. */
const smallest = 1_024;
const largest = 65_536;
/** How long `close` waits for the kernel to take what was written, and reads messages of TLS, ms. */
const settling = 20;
/** How often it waits so long when only `close_notify` has no room. */
const patience = 100;

/** Holds what is received directly. */
const encrypted = new Uint8Array(largest);
/** Holds what is decrypted from that and from the beginning of a record that came before. */
const decrypted = new Uint8Array(largest + recordSize);
const nothing = new Uint8Array(0);
/** Deno keeps such an object for each write, and calls its `oncomplete` if it has one. */
const request = {};

/**
 * Passes encrypted bytes between a connection and the object that encrypts them. The TLS socket's own
 * streams are not used, since they do not keep `close_notify` and FIN in order, and cost several turns of
 * the event loop. It does the handshake, tells what was agreed on, and can be closed by the program.
 */
export class TlsTransport implements Transport, OpeningSession {
  readonly native: TlsSocket;
  tls!: TlsInformation;
  readonly #lower: Transport;
  readonly #wrap: Wrap;
  /** Its methods, without what the TLS socket has put around them. */
  readonly #methods: Wrap;
  #incoming: Incoming;
  #outgoing: Outgoing;
  /** Encrypted bytes that `lower` has not taken yet. */
  #queue: Uint8Array[] = [];
  #wanted = false;
  /** How many bytes have arrived since the reader asked for some. */
  #ahead = 0;
  #room = smallest;
  /** How many decrypted bytes were passed on. */
  #passed = 0;
  /** The memory of a caller that decrypted bytes are put into, and how much of it is filled. */
  #into: Uint8Array | undefined = undefined;
  #filled = 0;
  /** Whether encrypted bytes are being processed right now. */
  #feeding = false;
  /** Whether `close_notify` has come. */
  #ended = false;
  /** Whether `close_notify` was written. */
  #finished = false;
  /** Set when nothing can be sent any more. */
  #failedWrite: { cause: unknown } | undefined = undefined;
  #closed = false;
  /** Whether `lower` was closed. */
  #over = false;
  /** Settles the promise of `closeWrite`. */
  #finishing: Settling<void> | undefined = undefined;
  /** Settles the promise of `flushed`. */
  #flushing: Settling<void> | undefined = undefined;

  /**
   * `native` has to be new. What it writes to its stream has to be passed to `send`. `early` are encrypted
   * bytes that `lower` has received already.
   */
  constructor(native: TlsSocket, lower: Transport, early: Uint8Array = nothing) {
    this.native = native;
    this.#lower = lower;
    this.#incoming = this.#outgoing = new Early();
    const wrap = this.#wrap = native._handle as unknown as Wrap;
    const methods = this.#methods = Object.getPrototypeOf(wrap) as Wrap;
    const missing = needed.find((name) => typeof methods[name] !== "function");
    if (missing !== undefined) {
      throw new Error(
        `TLS is not possible in this version of Deno, whose node:tls has no ${missing}`,
      );
    }
    wrap.onread = () => this.#decrypted();
    methods.useUserBuffer.call(wrap, decrypted);
    const { onerror } = wrap;
    wrap.onerror = (cause) => {
      if (methods.isEstablished.call(wrap)) this.#fail(cause);
      else onerror.call(wrap, cause);
    };
    methods.readStart.call(wrap);
    native.on("close", () => this.gone());
    lower.start({
      data: (chunk) => this.#received(chunk),
      end: () => this.#endOfStream(),
      failed: (cause) => this.#failRead(cause),
    }, {
      drained: () => this.#drained(),
      failed: (cause) => this.#failWrite(cause),
    });
    // Deno starts the handshake in a tick of its own, and crashes there if bytes that are no TLS came before:
    // https://github.com/denoland/deno/blob/v2.9.6/ext/node/polyfills/_tls_wrap.js `_start`
    host().nextTick(() => early.length > 0 ? this.#received(early) : this.#readMore());
  }

  get below(): object {
    return this.#lower.native;
  }

  get localAddr(): NetAddr {
    return this.#lower.localAddr;
  }

  get remoteAddr(): NetAddr {
    return this.#lower.remoteAddr;
  }

  get writing(): boolean {
    return this.#lower.writing || this.#queue.length > 0;
  }

  opened(tls: TlsInformation): Transport {
    this.tls = tls;
    // Without a listener, an error would end the process.
    this.native.on("error", () => {});
    this.flush();
    return this;
  }

  start(incoming: Incoming, outgoing: Outgoing): void {
    const early = this.#incoming as Early;
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    early.replay(incoming, outgoing);
  }

  pull(size: number): void {
    this.#wanted = true;
    this.#ahead = 0;
    this.#room = size === 0 ? largest : Math.min(Math.max(size, smallest), largest);
    if (!this.#feeding) this.#readMore();
  }

  receive(into: Uint8Array): number {
    const lower = this.#lower;
    if (lower.receive === undefined || this.#feeding) return 0;
    // Leaves room for a record of which a part has come before.
    const room = Math.min(into.length - recordSize, largest);
    this.#into = into;
    this.#filled = 0;
    while (this.#filled === 0 && room > 0 && !this.#ended && !this.#closed) {
      const size = lower.receive(encrypted.subarray(0, room));
      if (size === 0) break;
      this.#feed(encrypted.subarray(0, size));
    }
    this.#into = undefined;
    return this.#filled;
  }

  /** Reading stops by itself. */
  pause(): void {}

  write(data: Uint8Array): number {
    let taken = 0;
    while (taken < data.length && !this.writing && this.#failedWrite === undefined) {
      const size = Math.min(data.length - taken, chunkSize);
      const piece = unshared(size === data.length ? data : part(data, taken, taken + size));
      if (this.#methods.writeBuffer.call(this.#wrap, request, piece) < 0) {
        // The program has destroyed the TLS socket, whose event will end the wait.
        this.#queue.push(nothing);
        return taken;
      }
      taken += size;
      this.flush();
    }
    return taken;
  }

  flush(): void {
    const bytes = this.#methods.drainEncOut.call(this.#wrap);
    if (bytes.length === 0) return;
    this.send(bytes);
    if (this.#queue.length === 0) free(bytes);
  }

  /** Sends encrypted bytes, which belong to this transport from now on. */
  send(bytes: Uint8Array): void {
    if (this.#over || this.#failedWrite !== undefined) return;
    if (this.writing) this.#queue.push(bytes);
    else this.#offer(bytes);
  }

  #offer(bytes: Uint8Array): void {
    for (let sent = 0; sent < bytes.length && this.#failedWrite === undefined;) {
      sent += this.#lower.write(sent === 0 ? bytes : bytes.subarray(sent));
      if (!this.#lower.writing) continue;
      if (sent < bytes.length) this.#queue.unshift(bytes.subarray(sent));
      return;
    }
  }

  #drained(): void {
    while (!this.#lower.writing && this.#queue.length > 0) this.#offer(this.#queue.shift()!);
    if (this.writing || this.#failedWrite !== undefined) return;
    this.#sendFin();
    if (!this.#closed) return this.#outgoing.drained();
    this.#flushing?.resolve();
    this.#sayGoodbye();
  }

  closeWrite(): Promise<void> {
    this.#sayGoodbye();
    const { promise, reject } = this.#finishing = new Settling();
    if (this.#failedWrite !== undefined) reject(this.#failedWrite.cause);
    else if (!this.writing) this.#sendFin();
    return promise;
  }

  #sendFin(): void {
    const finishing = this.#finishing;
    if (finishing === undefined) return;
    this.#finishing = undefined;
    Promise.resolve(this.#lower.closeWrite()).then(finishing.resolve, finishing.reject);
  }

  /** Sends `close_notify`, which tells the peer that the stream is complete. */
  #sayGoodbye(): void {
    if (this.#finished) return;
    this.#finished = true;
    this.#methods.shutdown.call(this.#wrap, request);
    this.flush();
  }

  isGone(): boolean {
    return this.native.destroyed || this.#lower.isGone();
  }

  flushed(): Promise<void> | undefined {
    if (!this.writing || this.#closed) return undefined;
    return (this.#flushing = new Settling()).promise;
  }

  close(cut: boolean = false): void {
    if (this.#closed) return;
    this.#closed = true;
    if (cut || this.#failedWrite !== undefined) return this.#shut(cut);
    if (!this.writing) this.#sayGoodbye();
    if (this.#ended && this.#finished && !this.writing) return this.#shut(false);
    // Messages of TLS itself that were not read would make `close` a reset.
    this.#readMore();
    this.#settle(patience);
  }

  #settle(times: number): void {
    nativeTimers().setTimeout(() => {
      if (times > 1 && this.#finished && this.writing && !this.#over) this.#settle(times - 1);
      else this.#shut(this.writing);
    }, settling);
  }

  #shut(cut: boolean): void {
    if (this.#over) return;
    this.#over = true;
    this.#flushing?.reject(destroyed());
    this.#finishing?.reject(destroyed());
    this.#finishing = undefined;
    this.#lower.close(cut);
    this.native.destroy();
  }

  reset(kernel: () => Kernel): void {
    if (this.#closed) return;
    const finishing = this.#finishing;
    const gone = finishing !== undefined && this.#lower.isGone();
    this.#lower.reset(kernel);
    this.#closed = true;
    // After its `close_notify` the peer may have left. Otherwise there is no end that could still be sent.
    if (gone) finishing.reject(coded("EPIPE", "the peer has left"));
    else finishing?.resolve();
    this.#finishing = undefined;
    this.#shut(true);
  }

  unref(): void {
    this.#lower.unref();
  }

  /** Called when the TLS socket is closed. If this transport was not, the program has closed it. */
  gone(): void {
    // A last message of TLS may still have to be sent.
    if (this.#feeding) return queueMicrotask(() => this.gone());
    if (this.#over) return;
    if (!this.#closed) this.#fail(destroyed());
    this.#closed = true;
    this.#shut(false);
  }

  #received(chunk: Uint8Array): void {
    if (this.#closed) {
      this.#ahead += chunk.length;
      return this.#readMore();
    }
    const { receive } = this.#lower;
    this.#feed(chunk);
    // What has arrived already is received without a turn of the event loop for each chunk.
    while (receive !== undefined && this.#wanted && !this.#ended && !this.#closed) {
      const size = receive.call(this.#lower, encrypted);
      if (size === 0) break;
      this.#feed(encrypted.subarray(0, size));
    }
    this.#readMore();
  }

  #feed(chunk: Uint8Array): void {
    this.#feeding = true;
    const before = this.#passed;
    this.#methods.readBuffer.call(this.#wrap, chunk);
    // It may have an answer of TLS's own. One to a message beside data may wait for the next write.
    if (this.#passed === before) this.flush();
    this.#feeding = false;
  }

  #readMore(): void {
    if (this.#over) return;
    if (this.#ended || !this.#wanted && this.#ahead > mostAhead) this.#lower.pause();
    else this.#lower.pull(this.#room);
  }

  /** Called when bytes were decrypted, or none are left and `close_notify` has come. */
  #decrypted(): void {
    const left = this.#methods.getBytesRead.call(this.#wrap) - this.#passed;
    const size = Math.min(left, decrypted.length);
    this.#passed += size;
    if (this.#closed) return;
    if (size === 0) {
      this.#ended = true;
      return this.#incoming.end();
    }
    this.#wanted = false;
    this.#ahead += size;
    const bytes = decrypted.subarray(0, size);
    const into = this.#into;
    if (into === undefined) return this.#incoming.data(bytes, true);
    this.#into = undefined;
    this.#filled = copyInto(bytes, 0, into);
    if (this.#filled < size) this.#incoming.data(bytes.subarray(this.#filled), true);
  }

  /** Called at the peer's FIN. All that came before has been processed. */
  #endOfStream(): void {
    if (this.#closed) return this.#shut(this.writing);
    if (!this.#methods.isEstablished.call(this.#wrap)) this.native.destroy();
    else if (!this.#ended) this.#fail(truncation());
  }

  #failRead(cause: unknown): void {
    if (this.#closed) return this.#shut(false);
    if (!this.#methods.isEstablished.call(this.#wrap)) this.native.destroy(cause);
    else if (!this.#ended) this.#incoming.failed(cause);
  }

  #failWrite(cause: unknown): void {
    if (this.#failedWrite !== undefined) return;
    this.#failedWrite = { cause };
    this.#queue = [];
    this.#finishing?.reject(cause);
    this.#finishing = undefined;
    this.#flushing?.reject(cause);
    if (this.#closed) this.#shut(false);
    else this.#outgoing.failed(cause);
  }

  /** The connection is of no use any more. */
  #fail(cause: unknown): void {
    if (this.#closed) return;
    this.#incoming.failed(cause);
    this.#failWrite(cause);
  }
}
