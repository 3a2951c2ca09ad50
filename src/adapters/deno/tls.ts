/**
 * TLS through `node:tls`, over a `Deno.Conn` as a stream. Deno's own has no server side for open
 * connections, and tells neither protocol nor certificate.
 *
 * @module
 */

import type { Attempt, Transport } from "../../adapter.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { builtin } from "../../kernel/system.ts";
import type { TlsPlan } from "../../tls/options.ts";
import { EndSession, Handshake, type TlsSocket } from "../node/tls.ts";
import { NodeTransport } from "../node/transport.ts";

interface Duplex {
  push(chunk: Uint8Array | null): boolean;
  destroy(error?: unknown): unknown;
  on(event: "error", listener: () => void): unknown;
}

type Done = (error?: unknown) => void;

interface NodeStream {
  Duplex: new (options: {
    allowHalfOpen: true;
    read(): void;
    write(chunk: Uint8Array, encoding: unknown, done: Done): void;
    final(done: Done): void;
    destroy(error: unknown, done: Done): void;
  }) => Duplex;
}

/** The object below a TLS socket, as far as it is used. Not documented. */
interface Wrap {
  emitEof(): unknown;
  _flushEncOut?(): void;
}

/** Agrees on TLS over any of Deno's connections. */
export function secure(transport: Transport, plan: TlsPlan): Attempt {
  const wire = transport instanceof NodeTransport ? transport.release() : wireOver(transport);
  return new Handshake(wire, transport, plan, (native) => new DenoSession(native, transport));
}

/** Deno hands FIN to TLS by a call of JavaScript, which can be listened to. */
class DenoSession extends EndSession {
  readonly below: object;
  readonly #transport: Transport;
  readonly #wrap: Wrap;
  #finished = false;

  constructor(native: TlsSocket, transport: Transport) {
    super(native);
    this.#transport = transport;
    this.below = transport.native;
    const wrap = this.#wrap = native._handle as unknown as Wrap;
    const { emitEof } = wrap;
    wrap.emitEof = () => {
      this.#finished = true;
      return emitEof.call(wrap);
    };
  }

  protected override endsByFin(): boolean {
    return this.#finished;
  }

  /** Deno forgets to send what it has to say after it was told the certificate. */
  flush(): void {
    this.#wrap._flushEncOut?.();
  }

  override reset(kernel: () => Kernel): void {
    this.#transport.reset(kernel);
  }

  override unref(): void {
    this.#transport.unref();
  }
}

/** A connection as a stream of Node's. */
function wireOver(transport: Transport): Duplex {
  const { Duplex } = builtin<NodeStream>("node:stream")!;
  /** The write that waits for the kernel, and what of it has not been taken. */
  let waiting: Done | undefined;
  let rest: Uint8Array | undefined;
  const write = (chunk: Uint8Array, done: Done) => {
    const taken = transport.write(chunk);
    if (!transport.writing) return done();
    rest = taken < chunk.length ? chunk.subarray(taken) : undefined;
    waiting = done;
  };
  const wire: Duplex = new Duplex({
    allowHalfOpen: true,
    read: () => transport.pull(0),
    write: (chunk, _encoding, done) => write(chunk, done),
    final(done) {
      Promise.resolve(transport.closeWrite()).then(() => done(), done);
    },
    destroy(error, done) {
      transport.close();
      done(error);
    },
  });
  const failed = (cause: unknown) => wire.destroy(cause);
  transport.start({
    data: (chunk, lent) => wire.push(lent ? chunk.slice() : chunk),
    end: () => wire.push(null),
    failed,
  }, {
    drained() {
      const done = waiting;
      waiting = undefined;
      if (rest === undefined || done === undefined) done?.();
      else write(rest, done);
    },
    failed,
  });
  wire.on("error", () => {});
  return wire;
}
