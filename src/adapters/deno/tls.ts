/**
 * TLS through `node:tls`. Deno's own TLS has no server side for open connections, and shows neither
 * protocol nor certificate.
 */

import type { Attempt, Transport } from "../../adapter.ts";
import { builtin } from "../../kernel/system.ts";
import type { TlsPlan } from "../../tls/options.ts";
import { unread } from "../errors.ts";
import { Handshake } from "../node/tls.ts";
import { NodeTransport } from "../node/transport.ts";
import { TlsTransport } from "./tls_transport.ts";

type Done = (error?: unknown) => void;

interface NodeStream {
  Duplex: new (options: {
    allowHalfOpen: true;
    autoDestroy: false;
    read(): void;
    write(chunk: Uint8Array, encoding: unknown, done: Done): void;
    final(done: Done): void;
    destroy(error: unknown, done: Done): void;
  }) => { on(event: "error", listener: () => void): unknown };
}

/** Starts TLS over any of Deno's connections. */
export function secure(transport: Transport, plan: TlsPlan): Attempt {
  if (transport instanceof NodeTransport && transport.native.readableLength > 0) throw unread();
  let session: TlsTransport | undefined = undefined;
  const { Duplex } = builtin<NodeStream>("node:stream")!;
  // The TLS socket needs a stream, but only what the handshake sends takes that road.
  const stream = new Duplex({
    allowHalfOpen: true,
    autoDestroy: false,
    read() {},
    write(chunk, _encoding, done) {
      session?.send(chunk);
      done();
    },
    final: (done) => done(),
    destroy(error, done) {
      done(error);
      session?.gone();
    },
  });
  stream.on("error", () => {});
  return new Handshake(
    stream,
    plan,
    (native) => session = new TlsTransport(native, transport, plan.early),
  );
}
