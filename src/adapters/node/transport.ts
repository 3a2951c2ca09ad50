/**
 * A `net.Socket` as a transport; also the `node:net` sockets of Deno and Bun.
 *
 * @module
 */

import type { Incoming, KnownEnds, Outgoing, Transport } from "../../adapter.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { unmapped } from "../../kernel/sockaddr.ts";
import { builtin } from "../../kernel/system.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { part } from "../../memory.ts";
import { nativeTimers } from "../../time/native_timers.ts";
import { lingerZero } from "../../kernel/tcp_socket.ts";
import { SocketError } from "../../errors.ts";
import type { TlsInformation } from "../../tls/information.ts";
import { handle } from "./handle.ts";

/** Whose events a socket's are. */
const owner: unique symbol = Symbol("transport");

/** Where a binding writes an address. */
interface Name {
  address?: string;
  port?: number;
}

/** What this file uses of `net.Socket` and `tls.TLSSocket`. */
export interface NodeSocket {
  /** Ours: so that all sockets share their listeners. */
  [owner]?: NodeTransport;
  allowHalfOpen: boolean;
  readonly localAddress?: string;
  readonly localPort?: number;
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  readonly connecting: boolean;
  readonly destroyed: boolean;
  readonly encrypted?: boolean;
  readonly errored: Error | null;
  readonly readableEncoding: string | null;
  readonly readableEnded: boolean;
  readonly writableEnded: boolean;
  readonly writableFinished: boolean;
  readonly readableLength: number;
  readonly writableLength: number;
  /** Not documented; the descriptor has no other place either. */
  readonly _handle: {
    readonly fd?: number;
    getpeername?(into: Name): number;
    getsockname?(into: Name): number;
    readStart?(): number;
    readonly writeQueueSize?: number;
  } | null;
  on(event: string, listener: (...args: never[]) => void): unknown;
  once(event: string, listener: (...args: never[]) => void): unknown;
  off(event: string, listener: (...args: never[]) => void): unknown;
  /** What has arrived and is kept, in parts; `null` when there is nothing. */
  read(): Uint8Array | null;
  pause(): unknown;
  resume(): unknown;
  write(data: Uint8Array, done?: () => void): boolean;
  /** What `write` of a stream calls, and classes that extend one define. */
  _write(data: Uint8Array, encoding: string, done: Done): void;
  end(done: (error?: Error | null) => void): unknown;
  destroy(cause?: unknown): unknown;
  resetAndDestroy?(): unknown;
  /** What `resetAndDestroy` sets before it destroys. */
  resetAndClosing?: boolean;
  ref(): unknown;
  unref(): unknown;
}

/** Tells a stream that its write is over; the same function for all writes of one stream. */
type Done = (error?: unknown) => void;

/** What this file uses of `node:buffer`. */
interface NodeBuffer {
  Buffer: { allocUnsafeSlow(size: number): Uint8Array };
}

/** What this file uses of `node:net`. */
interface NodeNet {
  Socket: abstract new (...args: never[]) => NodeSocket & object;
}

/** TLS that we have started ourselves on a socket. */
export interface Session {
  readonly tls: TlsInformation;
  /** The runtime's TCP socket, where the TLS socket does not know the way to it. */
  readonly below?: object | undefined;
  /** The stream has ended without `close_notify`. */
  readonly truncated: boolean;
  /** Nobody wants data for now, where the TLS socket does not tell those below. */
  pause?(): void;
  resume?(): void;
  /** Calls `done` when the kernel has what was written, where the TLS socket does not wait for that. */
  whenSent?(done: () => void): void;
  /** Bytes wait for the peer to make room. */
  isBlocked(): boolean;
  /** Sees to it that the TCP socket ends with RST, now or when the TLS socket is destroyed. */
  reset(kernel: () => Kernel): void;
  unref(): void;
}

/** Memory for the copy of one write, shared by all connections until a write has to wait. */
interface Scratch {
  readonly size: number;
  memory: Uint8Array | undefined;
}

/**
 * Most that is copied at a time. Loopback's segments hold 65,483 bytes: a chunk of 64 KiB would end in
 * a segment of a few bytes, which cost a third more.
 */
const chunkSize = 61_440;
const large: Scratch = { size: chunkSize, memory: undefined };
/** So that a short write that has to wait does not tie up a whole chunk. */
const small: Scratch = { size: 4_096, memory: undefined };

/** Long enough for some turns of the event loop, ms. */
const settling = 20;

const nothing = new Uint8Array(0);

/** Push: Node reads as long as it is not paused, and the callback of a write says when it is out. */
export class NodeTransport implements Transport {
  readonly native: NodeSocket;
  readonly localAddr: NetAddr;
  readonly remoteAddr: NetAddr;
  writing = false;
  #incoming!: Incoming;
  #outgoing!: Outgoing;
  #flowing = false;
  #closed = false;
  #over = false;
  /** Made when a write has to wait for the first time. */
  #onWritten: ((error?: unknown) => void) | undefined = undefined;
  #failedWrite: { cause: unknown } | undefined = undefined;
  #done: Done | undefined = undefined;
  #doneWithoutError: Done | undefined = undefined;
  /** Not TLS, which takes data without sending it, and takes no empty write in Deno. */
  readonly #plain: boolean;
  readonly #session: Session | undefined;

  /** `native` is connected and paused, with nobody else listening to it. */
  constructor(native: NodeSocket, known: KnownEnds = {}, session?: Session) {
    this.native = native;
    this.#session = session;
    this.#plain = native.encrypted !== true;
    this.localAddr = known.local ?? localAddr(native) ?? nowhere;
    this.remoteAddr = known.remote ?? remoteAddr(native) ?? nowhere;
    // For good: an error that comes after the end must find a listener, or it ends the process.
    native[owner] = this;
    native.on("error", onError);
    native.on("end", onEnd);
    native.on("close", onClose);
    native._write = write;
  }

  get tls(): TlsInformation | undefined {
    return this.#session?.tls;
  }

  get below(): object | undefined {
    return this.#session?.below;
  }

  start(incoming: Incoming, outgoing: Outgoing): void {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    if (this.native.readableEnded) incoming.end();
  }

  /**
   * Leaves the socket to somebody else, and is closed.
   *
   * @throws {SocketError} `EPROTO`: bytes have arrived that nobody has read.
   */
  release(): NodeSocket {
    const { native } = this;
    if (native.readableLength > 0) throw unread();
    this.#closed = true;
    native.off("error", onError);
    native.off("end", onEnd);
    native.off("close", onClose);
    native.off("data", onData);
    return native;
  }

  /** Bytes have arrived. `lent`: in memory that the next ones overwrite. */
  received(chunk: Uint8Array, lent: boolean): void {
    if (!this.#closed) this.#incoming.data(chunk, lent);
  }

  pull(): void {
    if (this.#flowing || this.#closed) return;
    this.#flowing = true;
    this.native.resume();
    this.#session?.resume?.();
  }

  pause(): void {
    if (!this.#flowing || this.#closed) return;
    this.#flowing = false;
    this.native.pause();
    this.#session?.pause?.();
  }

  write(data: Uint8Array): number {
    const { native } = this;
    if (native.destroyed || native.errored !== null) {
      // The error event is on its way and ends the wait.
      this.writing = true;
      return 0;
    }
    if (!this.#plain) {
      const chunk = part(data, 0).slice(0, chunkSize);
      this.writing = true;
      const onWritten = this.#onWritten ??= (error) => this.#written(error);
      const session = this.#session;
      if (session?.whenSent === undefined) native.write(chunk, onWritten);
      else {
        native.write(chunk);
        session.whenSent(onWritten);
      }
      return chunk.length;
    }
    let taken = 0;
    while (taken < data.length) {
      const size = Math.min(data.length - taken, chunkSize);
      const pool = size <= small.size ? small : large;
      pool.memory ??= allocate(pool.size);
      pool.memory.set(size === data.length ? data : part(data, taken, taken + size));
      native.write(pool.memory.subarray(0, size));
      if (this.#failedWrite !== undefined) break;
      taken += size;
      if (!this.#sent()) {
        // It belongs to that write now.
        pool.memory = undefined;
        this.#wait();
        break;
      }
    }
    return taken;
  }

  closeWrite(): Promise<void> {
    const { native } = this;
    return new Promise((resolve, reject) => {
      const done = (error?: unknown) => {
        if (this.#failedWrite !== undefined) reject(this.#failedWrite.cause);
        // Closing sends FIN as well.
        else if (!error || this.#closed && !native.errored) resolve();
        else reject(native.errored ?? destroyed());
      };
      // On a destroyed socket `end` calls nobody back.
      if (native.destroyed) return done(true);
      // `shutdown` keeps silent when the peer has reset, which an empty write is told.
      if (this.#plain) native.write(nothing);
      native.end(done);
    });
  }

  isGone(): boolean {
    const { destroyed, _handle } = this.native;
    return destroyed || (_handle?.getpeername?.({}) ?? 0) < 0;
  }

  close(cut: boolean = false): void {
    if (this.#closed) return;
    if ((cut || this.writing) && this.#plain && this.#reset()) return;
    this.#closed = true;
    const { native } = this;
    const blocked = this.writing && (this.#session?.isBlocked() ?? true);
    if (this.#plain || cut || blocked || native.destroyed) return void native.destroy();
    // The peer is told that the stream is whole, unless it is not. That goes out within a few turns of the
    // event loop, or there is no room for it and nobody waits.
    native.end(ignore);
    const { setImmediate, setTimeout } = nativeTimers();
    const destroy = () => void native.destroy();
    // In Deno what TLS itself has been sent would else make it a reset: it is read a little later.
    if (this.#session?.whenSent !== undefined) return void setTimeout(destroy, settling);
    let turns = 4;
    const turn = () => {
      if (--turns === 0) return destroy();
      if (native.writableFinished) turns = 1;
      setImmediate(turn);
    };
    setImmediate(turn);
  }

  reset(kernel: () => Kernel): void {
    const { native } = this;
    if (this.#closed || this.#reset(kernel)) return;
    const isTcp = this.remoteAddr.transport === "tcp";
    if (!native.destroyed && isTcp) lingerZero(kernel(), handle(native)!.fd());
    this.close();
  }

  /** Whether the socket itself can. A TLS socket that we have not made cannot. */
  #reset(kernel?: () => Kernel): boolean {
    const { native } = this;
    const session = this.#session;
    // There is no RST on a Unix socket.
    const plain = this.#plain && this.remoteAddr.transport === "tcp";
    if (session === undefined && (!plain || native.resetAndDestroy === undefined)) return false;
    const reset = () => {
      if (session === undefined) return void native.resetAndDestroy!();
      session.reset(kernel!);
      native.destroy();
    };
    // While FIN is being sent libuv refuses with EINVAL, and Node then loses the descriptor.
    // https://docs.libuv.org/en/v1.x/tcp.html#c.uv_tcp_close_reset
    if (native.writableEnded && !native.writableFinished && native.writableLength === 0) {
      native.once("finish", reset);
    } else reset();
    this.#closed = true;
    return true;
  }

  /** A write that waits keeps the process alive all the same: libuv counts it apart from its socket. */
  unref(): void {
    this.native.unref();
    this.#session?.unref();
  }

  /**
   * Whether the kernel has all of what was written. libuv tries at once and keeps what the kernel
   * does not take, in the memory it was given; `writableLength` is 0 only if nothing was kept.
   */
  #sent(): boolean {
    return this.native.writableLength === 0 && this.native.errored === null;
  }

  /** An empty write is called back after all before it, so that others need no callback. */
  #wait(): void {
    this.writing = true;
    this.native.write(nothing, this.#onWritten ??= (error) => this.#written(error));
  }

  #written(error: unknown): void {
    // An error has been told already, or is the error event's to tell.
    if (error || this.#closed || this.#failedWrite !== undefined) return;
    this.writing = false;
    this.#outgoing.drained();
  }

  /** `done` for a write that may fail, without the stream hearing of it. */
  withoutError(done: Done): Done {
    if (this.#done !== done) {
      this.#done = done;
      this.#doneWithoutError = (cause) => {
        if (cause) this.#failWrite(cause);
        done();
      };
    }
    return this.#doneWithoutError!;
  }

  #failWrite(cause: unknown): void {
    // On a socket that somebody destroyed, `close` or the error event tells.
    if (this.#closed || this.native.destroyed || this.#failedWrite !== undefined) return;
    this.#failedWrite = { cause };
    this.writing = false;
    this.#outgoing.failed(cause);
  }

  ended(): void {
    if (this.#closed) return;
    const { native } = this;
    if (this.#failedWrite !== undefined) {
      const { cause } = this.#failedWrite;
      // The kernel tells a reset once; EPIPE says that the peer had finished before.
      if ((cause as { code?: string }).code !== "EPIPE") return this.#fail(cause);
      return this.#incoming.end();
    }
    // In Bun a socket that somebody destroys ends first, as if the peer had finished. Can go with
    // https://github.com/oven-sh/bun/pull/43392
    if (native.destroyed) return this.#fail(native.errored ?? destroyed());
    // libuv before 1.52 (Node 20 to 24) may show a reset that follows the last data as an end. The
    // kernel knows no peer any more then; after our own FIN that is true of a good end as well.
    // https://github.com/libuv/libuv/pull/4997
    if (!native.writableEnded) {
      const result = native._handle?.getpeername?.({}) ?? 0;
      if (result < 0) return this.#fail(coded("ECONNRESET", "read ECONNRESET"));
    }
    if (this.#session?.truncated) return this.#fail(truncation());
    this.#incoming.end();
  }

  broken(cause: unknown): void {
    // An error ends the stream with what it has taken from the kernel and was not asked for yet.
    // That arrived before the error and comes before it.
    let chunk: Uint8Array | null;
    while (!this.#closed && (chunk = this.native.read()) !== null) {
      this.received(whole(chunk), false);
    }
    this.#fail(cause);
  }

  /** Closed without an error: both halves have ended, or somebody destroyed the socket. */
  gone(): void {
    if (this.#closed || (this.native.readableEnded && this.native.writableFinished)) return;
    this.#fail(destroyed());
  }

  #fail(cause: unknown): void {
    if (this.#closed || this.#over) return;
    this.#over = true;
    this.writing = false;
    this.#incoming.failed(cause);
    this.#outgoing.failed(cause);
  }
}

/** A socket with nobody else reading from it, as a transport that gets its `data` events. */
export function listenTo(
  native: NodeSocket,
  known?: KnownEnds,
  session?: Session,
): NodeTransport {
  const transport = new NodeTransport(native, known, session);
  native.on("data", onData);
  return transport;
}

/**
 * A stream destroys its socket when a write fails, with what has arrived and nobody has read: the reason
 * that a server gives before it closes. So the stream does not hear of the failure, and reading goes on.
 */
function write(this: NodeSocket, data: Uint8Array, encoding: string, done: Done): void {
  const { _write } = Object.getPrototypeOf(this) as NodeSocket;
  _write.call(this, data, encoding, this[owner]!.withoutError(done));
}

function onData(this: NodeSocket, chunk: Uint8Array): void {
  this[owner]!.received(whole(chunk), false);
}

function onEnd(this: NodeSocket): void {
  this[owner]!.ended();
}

function onError(this: NodeSocket, cause: unknown): void {
  this[owner]!.broken(cause);
}

function onClose(this: NodeSocket): void {
  this[owner]!.gone();
}

/** The callback of `onread`, which Node calls as a method of the socket, as it does listeners. */
export function onRead(this: NodeSocket, size: number, buffer: Uint8Array): boolean {
  this[owner]!.received(buffer.subarray(0, size), true);
  return true;
}

/**
 * An open `net.Socket` or `tls.TLSSocket` as a transport; `undefined` when `native` is none, or not
 * open, or no TCP socket. Bytes that it has received and not handed out come first.
 *
 * @throws {TypeError} It decodes to text, so bytes may be lost already, or it gives them elsewhere.
 */
export function adoptSocket(native: object): Transport | undefined {
  if (!(native instanceof builtin<NodeNet>("node:net")!.Socket)) return undefined;
  if (native.connecting || native.destroyed || native.remotePort === undefined) return undefined;
  if (native.readableEncoding !== null) {
    throw new TypeError(
      "Cannot wrap as 'native' must not have an encoding: " +
        `current value is ${native.readableEncoding}`,
    );
  }
  if (hasOnread(native)) {
    throw new TypeError("Cannot wrap as 'native' must not have the option 'onread'");
  }
  native.allowHalfOpen = true;
  native.pause();
  return listenTo(native);
}

/** Not documented: with `onread`, as we dial ourselves, a socket has no `data` events. */
function hasOnread(native: object): boolean {
  return Object.getOwnPropertySymbols(native).some((symbol) =>
    /^(kBuffer|kOnreadBuffer)$/.test(symbol.description ?? "") &&
    Boolean((native as Record<symbol, unknown>)[symbol])
  );
}

/** A chunk to give away; not what shares its memory with others, as a `Buffer` of Node's pool does. */
function whole(chunk: Uint8Array): Uint8Array {
  const bytes = part(chunk, 0);
  return bytes.length === bytes.buffer.byteLength ? bytes : bytes.slice();
}

/** Of the kind that streams take as it is: they make a view of anything else at every write. */
function allocate(size: number): Uint8Array {
  return builtin<NodeBuffer>("node:buffer")!.Buffer.allocUnsafeSlow(size);
}

const nowhere: NetAddr = { transport: "tcp", hostname: "", port: 0 };

// The binding is asked, since the socket keeps what it has answered, and so do we.

function localAddr(native: NodeSocket): NetAddr | undefined {
  const name: Name = {};
  if (native._handle?.getsockname?.(name) === 0) return address(name.address, name.port);
  return address(native.localAddress, native.localPort);
}

/** `undefined` when the peer has gone already, and its address with it. */
export function remoteAddr(native: NodeSocket): NetAddr | undefined {
  const name: Name = {};
  if (native._handle?.getpeername?.(name) === 0) return address(name.address, name.port);
  return address(native.remoteAddress, native.remotePort);
}

function address(hostname: string | undefined, port: number | undefined): NetAddr | undefined {
  if (hostname === undefined || port === undefined) return undefined;
  return { transport: "tcp", hostname: unmapped(hostname), port };
}

function ignore(): void {}

/** FIN without `close_notify` before it: somebody may have cut the stream short (RFC 8446 section 6.1). */
export function truncation(): Error {
  return coded("ECONNRESET", "the stream ended without close_notify");
}

/** Bytes that came before TLS: whoever sent them must not have them taken for something secured. */
export function unread(): SocketError {
  const detail = "bytes arrived before TLS began, and nobody has read them";
  return new SocketError({ code: "EPROTO", operation: "connect", detail });
}

function destroyed(): Error {
  return coded("ECANCELED", "the socket was destroyed");
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
