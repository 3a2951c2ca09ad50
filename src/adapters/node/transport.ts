/** Makes a transport of a `net.Socket`, also of those of Deno and Bun. */

import type { Incoming, KnownEnds, Outgoing, Transport } from "../../adapter.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { netAddr, nowhere } from "../../kernel/sockaddr.ts";
import type { Modules } from "../../kernel/modules.ts";
import { builtin, runtime } from "../../kernel/system.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { part, unshared } from "../../memory.ts";
import { nativeTimers } from "../../time/native_timers.ts";
import { Settling } from "../../time/settling.ts";
import { coded } from "../../kernel/system_error.ts";
import { lingerZero } from "../../kernel/tcp_socket.ts";
import { handshakeRecord } from "../../tls/codes.ts";
import type { TlsInformation } from "../../tls/information.ts";
import { brokenPipe, destroyed, truncation, unread } from "../errors.ts";
import { handle } from "./handle.ts";
import { type Done, Name, type NodeSocket } from "./net.ts";

/** The key under which a socket has its transport, so that all sockets can share their listeners. */
export const owner: unique symbol = Symbol("transport");

export interface OwnedSocket extends NodeSocket {
  [owner]?: NodeTransport;
}

/**
 * Passes bytes to the kernel and returns how many it took, without waiting; `undefined` if it cannot be used.
 *
 * @throws What ended the connection.
 */
export type Send = (data: Uint8Array, native: NodeSocket) => number | undefined;

let fs: Modules["node:fs"] | undefined;

/** TLS that this library has started on a socket. */
export interface Session {
  readonly tls: TlsInformation;
  /** Whether the stream has ended without `close_notify`. */
  readonly truncated: boolean;
  /** Whether a stream that has nothing else to write encrypts before `write` returns. */
  readonly direct: boolean;
  /** Whether a write waits only for the callback of the last one. */
  resting: boolean;
  /** Set when writes must not wait for that. */
  hastened: boolean;
  /** How many encrypted bytes the kernel has, or -1 if more bytes wait for the peer to make room. */
  readonly sent: number;
  /** Makes the TCP socket end with RST when the TLS socket is destroyed. */
  reset(): void;
}

/**
 * How much the stream gets at a time, in a copy. A segment on loopback holds 65,483 bytes, so a chunk of
 * 64 KiB would end with a segment of a few bytes, which made it a third slower.
 */
const chunkSize = 61_440;
/** A chunk of at most this size is copied into memory of its own. */
const short = 4_096;

/** The longest write over TLS that Node encrypts into no more than it passes to the kernel in one turn. */
const atOnce = 131_072;

/** When a write that the stream has lost is tried again, ms. */
const retryPause = 5;

/** How long `close` waits over TLS for the kernel to take what was written, ms. */
const settling = 20;
/** How often it waits so long when `close_notify` has no room. */
const patience = 100;

const nothing = new Uint8Array(0);

/**
 * Node pushes chunks as long as the socket is not paused, and calls the callback of a write when the
 * kernel has its bytes.
 */
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
  /** Made at the first write that has to wait. */
  #onWritten: ((error?: unknown) => void) | undefined = undefined;
  #failedWrite: { cause: unknown; certain: boolean } | undefined = undefined;
  /**
   * Returns the error with which the kernel has ended the connection, or `undefined`. Set where the runtime
   * hides that from writes, which all fail with EPIPE.
   */
  takeError: (() => unknown) | undefined = undefined;
  /** How to send without the stream. It would need a copy of all bytes, and costs a quarter more, too. */
  #send: Send | undefined = runtime().name === "deno" ? undefined : writeNow;
  /** Whether the stream loses a write that waits, so that it gets one byte at a time as long as `#send` works. */
  #losing = false;
  /** Settles the promise of `flushed`. */
  #settled: Settling<void> | undefined = undefined;
  /** How many writes have not had their callback yet, also if the kernel has their bytes. */
  #unfinished = 0;
  /** False for TLS, which takes data without sending it, and in Deno takes no empty write. */
  readonly #plain: boolean;
  readonly #session: Session | undefined;

  /** `native` has to be connected and paused, without other listeners. */
  constructor(native: NodeSocket, known: KnownEnds = {}, session?: Session) {
    this.native = native;
    this.#session = session;
    this.#plain = native.encrypted !== true;
    this.localAddr = known.local ?? localAddr(native) ?? nowhere;
    this.remoteAddr = known.remote ?? remoteAddr(native) ?? nowhere;
    // These stay, since an error without a listener, even after the end, would end the process.
    (native as OwnedSocket)[owner] = this;
    native.on("error", onError);
    native.on("end", onEnd);
    native.on("close", onClose);
    native._write = write;
  }

  get tls(): TlsInformation | undefined {
    return this.#session?.tls;
  }

  start(incoming: Incoming, outgoing: Outgoing): void {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
    if (this.native.readableEnded) incoming.end();
    // TLS hides a reset from writes, so something has to read.
    if (this.#session?.direct) this.pull();
  }

  /**
   * Gives up the socket, which TLS takes over with what its stream has, and returns it. `early` is what was
   * received of a handshake already.
   *
   * @throws {Error} Bytes have arrived that were not read.
   */
  release(early: Uint8Array = nothing): NodeSocket {
    const { native } = this;
    if (native.readableLength > 0) throw unread();
    // A stream that flows drops what is put back.
    native.pause();
    if (early.length > 0) native.unshift(early);
    // In a connection that was in use, and not in one that has just been opened for TLS.
    else if (this.#incoming !== undefined) this.#refusePlainText();
    this.#closed = true;
    native.off("error", onError);
    native.off("end", onEnd);
    native.off("close", onClose);
    native.off("data", onData);
    return native;
  }

  /**
   * OpenSSL fails at plain text when it has the five bytes of a record's header, and waits for the rest of
   * fewer. So the first byte that the kernel has is looked at. If a handshake can begin with it, it goes back
   * to the stream, from which TLS takes it.
   */
  #refusePlainText(): void {
    const { native } = this;
    const fd = native._handle?.fd ?? -1;
    // Deno shows none, and its TLS fails at the first byte.
    if (fd < 0) return;
    fs ??= builtin("node:fs");
    const first = new Uint8Array(1);
    try {
      if (fs.readSync(fd, first, 0, 1) === 0) return;
    } catch (cause) {
      if ((cause as { code?: string }).code === "EAGAIN") return;
      throw cause;
    }
    if (first[0] !== handshakeRecord) throw unread();
    native.unshift(first);
  }

  /** Called when bytes have arrived. With `lent` they are in memory that the next ones overwrite. */
  received(chunk: Uint8Array, lent: boolean): void {
    if (!this.#closed) this.#incoming.data(chunk, lent);
    // What else comes makes `close` a reset, which tells the peer that nobody reads it.
    else this.native.pause();
  }

  pull(): void {
    if (this.#flowing || this.#closed) return;
    this.#flowing = true;
    this.native.resume();
  }

  pause(): void {
    if (!this.#flowing || this.#closed) return;
    this.#flowing = false;
    this.native.pause();
  }

  write(data: Uint8Array): number {
    const { native } = this;
    if (native.destroyed || native.errored !== null) {
      // The error event will come and end the wait.
      this.writing = true;
      return 0;
    }
    if (native.writableEnded) {
      // The program has called `native.end()`. A write would destroy the socket, and what can still be read.
      this.#failWrite(brokenPipe(), true);
      return 0;
    }
    if (!this.#plain) return this.#encrypt(data);
    if (this.#hasEnded()) return 0;
    let taken = 0;
    do {
      taken += this.#pass(taken === 0 ? data : part(data, taken));
    } while (taken < data.length && !this.writing && this.#failedWrite === undefined);
    return taken;
  }

  /** Sends what the kernel takes at once, and gives the next chunk of the rest to the stream. */
  #pass(data: Uint8Array): number {
    const sent = this.#sendNow(data);
    const taken = sent ?? 0;
    if (taken === data.length || this.#failedWrite !== undefined) return taken;
    const most = this.#losing && sent !== undefined ? 1 : chunkSize;
    const rest = this.#queue(copyOf(data, taken, most));
    // The kernel may have got room since.
    this.writing &&= !this.#sent();
    if (this.writing) spare = undefined;
    return taken + rest;
  }

  #sendNow(data: Uint8Array): number | undefined {
    // A listener's program can write to what it accepts.
    if (this.native.writableLength > 0) return undefined;
    try {
      return this.#send?.(data, this.native);
    } catch (cause) {
      // The kernel reports an error once, so the stream would not get it.
      this.#failWrite(cause, true);
      return 0;
    }
  }

  /**
   * Sends by `send`, as the stream loses a write that waits. Of what the kernel does not take, the stream then
   * gets one byte at a time, and waits with it for room.
   */
  sendBy(send: Send): void {
    this.#send = send;
    this.#losing = true;
  }

  /** Gives a chunk to the stream, waits for its callback, and returns how many bytes have not failed at once. */
  #queue(chunk: Uint8Array): number {
    this.writing = true;
    this.#unfinished++;
    this.native.write(chunk, this.#onWritten ??= (error) => this.#written(error));
    return this.#failedWrite === undefined ? chunk.length : 0;
  }

  /** A stream that still writes would keep the caller's memory, so it gets a copy then. */
  #encrypt(data: Uint8Array): number {
    const { native } = this;
    const session = this.#session;
    if (native.readableEnded && this.#hasLeft()) return 0;
    if (session?.direct && this.#unfinished > 0 && !session.hastened) {
      // The stream would keep a copy of the data until the callback, and then take one more turn.
      this.writing = session.resting = true;
      return 0;
    }
    const direct = session?.direct && native.writableLength === 0 && native.writableCorked === 0;
    const before = session?.sent ?? 0;
    const taken = this.#queue(direct ? unshared(data) : part(data, 0).slice(0, chunkSize));
    // The callback comes a turn of the event loop later, also when the kernel has everything.
    if (direct && taken <= atOnce) this.writing &&= session.sent < before + taken;
    return taken;
  }

  hasten(): void {
    const session = this.#session;
    if (!session?.resting) return;
    session.hastened = true;
    this.writing = session.resting = false;
  }

  closeWrite(): Promise<void> {
    const { native } = this;
    return new Promise((resolve, reject) => {
      const done = (error?: unknown) => {
        if (this.#failedWrite !== undefined) reject(this.#failedWrite.cause);
        // Closing the socket has sent FIN as well.
        else if (!error || this.#closed && !native.errored) resolve();
        else reject(native.errored ?? destroyed());
      };
      // On a destroyed socket `end` does not call its callback.
      if (native.destroyed) return done(true);
      if (this.#hasEnded()) return done(true);
      // The program has called `native.end()`.
      if (native.writableFinished) return resolve();
      if (native.readableEnded && this.#hasLeft()) return done(true);
      // An empty write fails when the peer has reset, and `shutdown` does not. On a Unix socket it fails
      // also when the peer has finished.
      const empty = this.#plain && this.remoteAddr.transport === "tcp" && !native.writableEnded;
      if (empty) native.write(nothing);
      if (this.#plain) native.end(done);
      else this.#afterEvents().then(() => native.destroyed ? done(true) : native.end(done));
    });
  }

  /**
   * Waits until no `data` event of TLS is under way, and no write that may end in one. If the stream is ended
   * from there, OpenSSL refuses the records that it has received and not decrypted yet, since Node calls
   * SSL_shutdown twice (https://docs.openssl.org/3.5/man3/SSL_shutdown/).
   */
  async #afterEvents(): Promise<void> {
    const { setImmediate } = nativeTimers();
    let turns = 4;
    do {
      await new Promise<void>((resolve) => void setImmediate(resolve));
    } while (--turns > 0 && this.#unfinished > 0);
  }

  expose(): void {
    // The socket does not count such bytes (`bytesWritten`, and for `setTimeout`).
    if (this.#send === writeNow) this.#send = undefined;
  }

  isGone(): boolean {
    const { destroyed, _handle } = this.native;
    return destroyed || (_handle?.getpeername?.(new Name()) ?? 0) < 0;
  }

  /** TLS is written by a later turn of the event loop, also where the kernel has room. */
  flushed(): Promise<void> | undefined {
    if (!this.writing || this.#closed || this.#isBlocked()) return undefined;
    return (this.#settled = new Settling()).promise;
  }

  #isBlocked(): boolean {
    return this.#session === undefined || this.#session.sent < 0;
  }

  close(cut: boolean = false): void {
    if (this.#closed) return;
    if ((cut || this.writing) && this.#plain && this.#reset()) return;
    this.#closed = true;
    const { native } = this;
    const blocked = this.writing && this.#isBlocked();
    const destroy = () => {
      this.#settled?.reject(destroyed());
      native.destroy();
    };
    if (this.#plain || cut || blocked || native.destroyed) return destroy();
    // `end` sends `close_notify`, which tells the peer that the stream is complete. Messages of TLS itself
    // that were not read would make `close` a reset, so they are read until then.
    native.end(ignore);
    if (native.readableLength === 0) native.resume();
    const { setImmediate, setTimeout } = nativeTimers();
    // On a busy machine the time may be over before the event loop has turned often enough.
    let turns = 4 + patience;
    const turn = () => {
      if (--turns === 0 || native.writableFinished || native.destroyed) return destroy();
      if (turns > patience) setImmediate(turn);
      else setTimeout(turn, settling);
    };
    setTimeout(turn, settling);
  }

  reset(kernel: () => Kernel): void {
    const { native } = this;
    if (this.#closed || this.#reset()) return;
    const isTcp = this.remoteAddr.transport === "tcp";
    if (!native.destroyed && isTcp) lingerZero(kernel(), handle(native)!.fd());
    this.close(!isTcp);
  }

  /** Resets the connection if Node can. Returns `false` for TLS sockets that were not made here. */
  #reset(): boolean {
    const { native } = this;
    const session = this.#session;
    // There is no RST on a Unix socket.
    if (this.remoteAddr.transport !== "tcp") return false;
    const known = this.#plain && native.resetAndDestroy !== undefined;
    if (session === undefined && !known) return false;
    const reset = () => {
      if (session === undefined) return void native.resetAndDestroy!();
      session.reset();
      native.destroy();
    };
    // While FIN is being sent, libuv refuses to reset, and Node then leaks the descriptor:
    // https://docs.libuv.org/en/v1.x/tcp.html#c.uv_tcp_close_reset
    if (native.writableEnded && !native.writableFinished && native.writableLength === 0) {
      native.once("finish", reset);
    } else reset();
    this.#closed = true;
    return true;
  }

  /** A write that waits still keeps the process alive, since libuv does not count it to its socket. */
  unref(): void {
    this.native.unref();
  }

  /**
   * Whether the kernel has all that was written. libuv writes at once, and keeps what the kernel does not
   * take in the memory that it was given. `writableLength` is 0 only if it keeps nothing.
   */
  #sent(): boolean {
    return this.native.writableLength === 0 && this.native.errored === null;
  }

  #written(error: unknown): void {
    this.#unfinished--;
    if (error) this.#settled?.reject(error);
    else if (this.#unfinished > 0) return;
    else this.#settled?.resolve();
    // An error has been reported already, or the error event will report it.
    if (error || this.#closed || this.#failedWrite !== undefined) return;
    if (!this.writing) return;
    this.writing = false;
    if (this.#session !== undefined) this.#session.resting = false;
    this.#outgoing.drained();
  }

  /**
   * Called when the stream has failed to write `size` bytes. The stream must not know, as it would destroy its
   * socket, and with it bytes that have arrived, which may be the reason that a server gives before it closes.
   */
  lost(size: number, cause: unknown, again: () => void, done: Done): void {
    if (this.#losing && size === 1 && !this.#closed && !this.isGone()) {
      return void nativeTimers().setTimeout(again, retryPause).unref();
    }
    this.#failWrite(cause);
    done();
  }

  /** Whether the kernel has ended the connection, which is reported here if writes would hide it. */
  #hasEnded(): boolean {
    const cause = this.takeError?.();
    if (cause !== undefined) this.#failWrite(cause, true);
    return cause !== undefined;
  }

  #failWrite(cause: unknown, certain: boolean = this.takeError === undefined): void {
    // If the program destroyed the socket, `close` or the error event reports it.
    if (this.#closed || this.native.destroyed || this.#failedWrite !== undefined) return;
    this.#failedWrite = { cause, certain };
    this.writing = false;
    this.#outgoing.failed(cause);
  }

  ended(): void {
    if (this.#closed) return;
    const { native } = this;
    if (this.#failedWrite !== undefined) {
      const { cause, certain } = this.#failedWrite;
      // The kernel reports a reset only once, here to the write. But EPIPE means that the peer had
      // finished before, so the end is a good one.
      if ((cause as { code?: string }).code !== "EPIPE") return this.#fail(cause);
      if (!certain) return this.#fail(coded("ECONNRESET", "the connection was reset"));
      if (this.#session?.truncated) return this.#fail(truncation());
      return this.#incoming.end();
    }
    // In Bun, destroying a socket first emits `end`, as if the peer had finished. Can go with
    // https://github.com/oven-sh/bun/pull/43392
    if (native.destroyed) return this.#fail(native.errored ?? destroyed());
    // libuv before 1.52 (Node 20 to 24) may report a reset right after the last data as an end
    // (https://github.com/libuv/libuv/pull/4997). So if the kernel has no peer any more, a write asks it
    // why: after the peer's FIN it fails with EPIPE. After our own FIN that proves nothing, and a read asks.
    // TLS knows.
    if (this.#session === undefined && (native._handle?.getpeername?.(new Name()) ?? 0) < 0) {
      if (native.writableEnded) return this.#readRest();
      if (this.#plain && !this.writing && !this.#hasEnded()) native.write(nothing);
      if (this.#failedWrite !== undefined) return this.ended();
      return this.#fail(coded("ECONNRESET", "read ECONNRESET"));
    }
    if (this.#session?.truncated) return this.#fail(truncation());
    this.#incoming.end();
    if (this.writing) this.#hasLeft();
  }

  /**
   * Whether the peer of a TLS connection has finished and then reset, which is reported here. Nothing reads
   * then, and Node forgets the reset if a message of TLS itself has met it: later writes wait for ever.
   */
  #hasLeft(): boolean {
    if (this.#session === undefined || !this.isGone()) return false;
    this.#failWrite(coded("EPIPE", "the peer has left"), true);
    return true;
  }

  /** Reads from the kernel itself to the end, or to the error that the stream did not get. */
  #readRest(): void {
    const fd = this.native._handle?.fd ?? -1;
    if (fd >= 0 && this.#plain && runtime().name === "node") {
      fs ??= builtin("node:fs");
      const byte = new Uint8Array(1);
      try {
        while (fs.readSync(fd, byte, 0, 1) > 0) this.received(byte, true);
      } catch (cause) {
        return this.#fail(cause);
      }
    }
    this.#incoming.end();
  }

  broken(cause: unknown): void {
    // The stream may still keep bytes that arrived before the error, and would drop them with it.
    this.#takeRest();
    // The kernel has EPIPE for a reset after the peer's FIN: what has arrived is everything.
    const finished = (cause as { code?: string }).code === "EPIPE";
    if (finished && this.#plain && this.takeError === undefined && !this.#closed) {
      this.#incoming.end();
    }
    this.#fail(cause);
  }

  #takeRest(): void {
    let chunk: Uint8Array | null;
    while (!this.#closed && (chunk = this.native.read()) !== null) {
      onData.call(this.native, chunk);
    }
  }

  /** Called at `close`. Unless both halves have ended, the program has destroyed the socket. */
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
    // Of a reset that a write has met, Node does not know, and would keep the descriptor.
    this.native.destroy();
  }
}

/** Makes a transport that gets the `data` events of a socket from which nothing else reads. */
export function listenTo(
  native: NodeSocket,
  known?: KnownEnds,
  session?: Session,
): NodeTransport {
  const transport = new NodeTransport(native, known, session);
  native.on("data", onData);
  return transport;
}

/** The `write` of a stream, which tells the transport and not the stream that it has failed. */
function write(this: OwnedSocket, data: Uint8Array, encoding: string, done: Done): void {
  const { _write } = Object.getPrototypeOf(this) as NodeSocket;
  const again = () => write.call(this, data, encoding, done);
  _write.call(this, data, encoding, (cause) => {
    if (cause) this[owner]!.lost(data.length, cause, again, done);
    else done();
  });
}

/** Writes to the descriptor, which needs no copy, and in Bun a write of the stream that fails closes its socket. */
function writeNow(data: Uint8Array, { _handle }: NodeSocket): number | undefined {
  const fd = _handle?.fd ?? -1;
  // On Windows no socket has a descriptor.
  if (fd < 0) return undefined;
  fs ??= builtin("node:fs");
  try {
    return fs.writeSync(fd, data, 0, data.length);
  } catch (cause) {
    const { errno, code } = cause as { errno?: number; code?: string };
    // Without a number it is no error of a connection, so it comes from a replaced `node:fs`.
    if (errno === undefined || code === "EBADF") return undefined;
    if (code === "EAGAIN") return 0;
    throw cause;
  }
}

function onData(this: OwnedSocket, chunk: Uint8Array): void {
  const bytes = part(chunk, 0);
  // It is not kept if it shares its memory with others, as a `Buffer` of Node's pool does.
  this[owner]!.received(bytes, bytes.length < bytes.buffer.byteLength);
}

function onEnd(this: OwnedSocket): void {
  this[owner]!.ended();
}

function onError(this: OwnedSocket, cause: unknown): void {
  this[owner]!.broken(cause);
}

function onClose(this: OwnedSocket): void {
  this[owner]!.gone();
}

/** Memory for the copy of a long write, shared by all connections until a write has to wait and keeps it. */
let spare: Uint8Array | undefined;

/** A copy of the next chunk of `data` from `start` on. */
function copyOf(data: Uint8Array, start: number, most: number): Uint8Array {
  const chunk = part(data, start, Math.min(start + most, data.length));
  if (chunk.length <= short) return chunk.slice();
  spare ??= new Uint8Array(chunkSize);
  spare.set(chunk);
  return spare.subarray(0, chunk.length);
}

/** Our own address. */
function localAddr(native: NodeSocket): NetAddr | undefined {
  return address(native, "getsockname") ?? known(native.localAddress, native.localPort);
}

/** The peer's address, or `undefined` when the peer has gone already. */
export function remoteAddr(native: NodeSocket): NetAddr | undefined {
  return address(native, "getpeername") ?? known(native.remoteAddress, native.remotePort);
}

/** Asks the binding, since the socket would keep the address a second time. */
function address({ _handle }: NodeSocket, ask: "getsockname" | "getpeername"): NetAddr | undefined {
  const name = new Name();
  return _handle?.[ask]?.(name) === 0 ? known(name.address, name.port) : undefined;
}

function known(hostname: string | undefined, port: number | undefined): NetAddr | undefined {
  return hostname === undefined || port === undefined ? undefined : netAddr(hostname, port);
}

function ignore(): void {}
