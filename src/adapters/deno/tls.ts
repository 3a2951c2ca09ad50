/**
 * TLS through `node:tls`, over a `Deno.Conn` as a stream. Deno's own TLS has no server side for open
 * connections, and shows neither protocol nor certificate.
 *
 * @module
 */

import type { Attempt, Transport } from "../../adapter.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { builtin } from "../../kernel/system.ts";
import { nativeTimers } from "../../time/native_timers.ts";
import type { TlsPlan } from "../../tls/options.ts";
import { EndSession, Handshake, type TlsSocket } from "../node/tls.ts";
import { NodeTransport } from "../node/transport.ts";

interface Duplex {
  push(chunk: Uint8Array | null): boolean;
  destroy(error?: unknown): unknown;
  on(event: "error" | "end", listener: () => void): unknown;
}

type Done = (error?: unknown) => void;

/** How many bytes are read before they are asked for. */
const mostAhead = 4_096;

interface NodeStream {
  Duplex: new (options: {
    allowHalfOpen: true;
    autoDestroy: false;
    read(): void;
    write(chunk: Uint8Array, encoding: unknown, done: Done): void;
    final(done: Done): void;
    destroy(error: unknown, done: Done): void;
  }) => Duplex;
}

/** The part of the object below a TLS socket that is used. Not documented. */
interface Wrap {
  emitEof(): unknown;
  _flushEncOut?(): void;
}

/** Starts TLS over any of Deno's connections. */
export function secure(transport: Transport, plan: TlsPlan): Attempt {
  if (transport instanceof NodeTransport) {
    const socket = transport.release();
    return new Handshake(socket, transport, plan, (native) => new DenoSession(native, transport));
  }
  const wire = new Wire(transport);
  return new Handshake(wire.stream, transport, plan, (native) => {
    return new WireSession(native, transport, wire);
  });
}

/** Deno passes FIN to TLS by calling `emitEof`, which is replaced here to notice that. */
class DenoSession extends EndSession {
  readonly below: object;
  readonly #transport: Transport;
  #finished = false;

  constructor(native: TlsSocket, transport: Transport) {
    super(native);
    this.#transport = transport;
    this.below = transport.native;
    const wrap = native._handle as unknown as Wrap;
    const { emitEof } = wrap;
    wrap.emitEof = () => {
      this.#finished = true;
      return emitEof.call(wrap);
    };
  }

  protected override endsByFin(): boolean {
    return this.#finished;
  }

  override isBlocked(): boolean {
    return this.#transport.writing;
  }

  isGone(): boolean {
    return this.#transport.isGone();
  }

  override reset(kernel: () => Kernel): void {
    this.#transport.reset(kernel);
  }

  override unref(): void {
    this.#transport.unref();
  }
}

/** A session over a {@linkcode Wire}, which waits for the kernel and pauses. Deno's TLS does neither. */
class WireSession extends DenoSession {
  failWrite: ((cause: unknown) => void) | undefined = undefined;
  readonly #native: TlsSocket;
  readonly #wire: Wire;
  readonly #wrap: Wrap;

  constructor(native: TlsSocket, transport: Transport, wire: Wire) {
    super(native, transport);
    this.#native = native;
    this.#wire = wire;
    this.#wrap = native._handle as unknown as Wrap;
    wire.failedWrite = (cause) => {
      if (this.failWrite === undefined) native.destroy(cause);
      else this.failWrite(cause);
    };
  }

  protected override endsByFin(): boolean {
    return this.#wire.finished;
  }

  /** After the certificate was set, Deno does not send what OpenSSL has written until this is called. */
  flush(): void {
    this.#wrap._flushEncOut?.();
  }

  pause(): void {
    this.#wire.pause();
  }

  resume(): void {
    this.#wire.resume();
  }

  finish(): Promise<void> {
    return this.#wire.finish((done) => this.whenSent(done));
  }

  close(): void {
    this.#wire.close();
  }

  whenSent(done: () => void): void {
    // Deno hands it over in a microtask, or later when it is still busy with what was before.
    queueMicrotask(() => {
      if (this.#native.writableLength === 0) this.#wire.whenSent(done);
      else nativeTimers().setImmediate(() => this.#wire.whenSent(done));
    });
  }
}

/** Makes a stream of Node's out of a connection. */
class Wire {
  readonly stream: Duplex;
  /** Whether TLS was told of the peer's FIN. */
  finished = false;
  /** Nothing can be sent any more; what has arrived can still be read. */
  failedWrite: (cause: unknown) => void;
  #broken = false;
  readonly #transport: Transport;
  #paused = false;
  /** How many bytes have arrived since then. */
  #ahead = 0;
  #wanted = false;
  /** Whether the end has come while the session was paused. */
  #ended = false;
  /** The callback of the write that waits for the kernel, and the bytes that were not taken yet. */
  #waiting: Done | undefined = undefined;
  #rest: Uint8Array | undefined = undefined;
  #onSent: (() => void) | undefined = undefined;
  #fin: Promise<void> | undefined = undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
    const { Duplex } = builtin<NodeStream>("node:stream")!;
    const stream = this.stream = new Duplex({
      allowHalfOpen: true,
      // It would close the TLS socket above as soon as both sides have finished, with bytes that were not
      // read yet.
      autoDestroy: false,
      read: () => this.#read(),
      write: (chunk, _encoding, done) => this.#write(chunk, done),
      final: (done) => void this.finish().then(() => done(), done),
      destroy: (error, done) => {
        done(error);
        // Both sides have finished, but the kernel may not have everything yet.
        const close = () => this.close();
        if (error || this.#fin === undefined) close();
        else this.#fin.then(close, close);
      },
    });
    stream.on("error", () => {});
    stream.on("end", () => this.finished = true);
    this.failedWrite = (cause) => stream.destroy(cause);
    const end = () => this.#end();
    const failed = (cause: unknown) => {
      this.#broken = true;
      this.failedWrite(cause);
      this.#sent();
    };
    transport.start({
      data: (chunk, lent) => {
        this.#ahead += chunk.length;
        stream.push(lent ? chunk.slice() : chunk);
      },
      end,
      // What has arrived comes first, and the error is reported at the end.
      failed(cause) {
        failed(cause);
        end();
      },
    }, { drained: () => this.#drained(), failed });
  }

  pause(): void {
    this.#paused = true;
    this.#ahead = 0;
  }

  resume(): void {
    this.#paused = false;
    if (this.#wanted) this.#read();
    if (this.#ended) nativeTimers().setImmediate(() => this.#end());
    this.#ended = false;
  }

  /** Deno forgets an end that comes while its TLS socket is paused, so it is passed on later. */
  #end(): void {
    if (this.#paused) this.#ended = true;
    else this.stream.push(null);
  }

  /** Sends FIN. Deno's TLS socket does that only when the peer has finished as well. */
  finish(
    whenSent: (done: () => void) => void = (done) => this.whenSent(done),
  ): Promise<void> {
    return this.#fin ??= new Promise<void>(whenSent).then(() => this.#transport.closeWrite());
  }

  close(): void {
    this.#transport.close();
    this.#sent();
  }

  /** Calls `done` when everything has reached the kernel that was written, or nothing will any more. */
  whenSent(done: () => void): void {
    if (this.#waiting === undefined) done();
    else this.#onSent = done;
  }

  /** Reads messages of TLS itself, for which no `pull` asks. Unread, they would make `close` a reset. */
  #read(): void {
    this.#wanted = this.#paused && this.#ahead > mostAhead;
    if (!this.#wanted) this.#transport.pull(0);
  }

  #write(chunk: Uint8Array, done: Done): void {
    if (this.#broken) return;
    const taken = this.#transport.write(chunk);
    if (!this.#transport.writing) return done();
    this.#rest = taken < chunk.length ? chunk.subarray(taken) : undefined;
    this.#waiting = done;
  }

  #drained(): void {
    const done = this.#waiting;
    const rest = this.#rest;
    this.#waiting = undefined;
    if (done === undefined) return;
    if (rest !== undefined) return this.#write(rest, done);
    // `done` may start the next write.
    done();
    if (this.#waiting !== undefined) return;
    this.#sent();
  }

  #sent(): void {
    const onSent = this.#onSent;
    this.#onSent = undefined;
    onSent?.();
  }
}
