/** TLS through `node:tls`, over a `net.Socket`. Deno's and Bun's adapters use this too. */

import type { Attempt, KnownEnds, Transport } from "../../adapter.ts";
import { builtin, runtime } from "../../kernel/system.ts";
import { coded } from "../../kernel/system_error.ts";
import { nativeTimers } from "../../time/native_timers.ts";
import {
  type AnyTlsSocket,
  type Certificate,
  inform,
  misnamed,
  type TlsInformation,
} from "../../tls/information.ts";
import type { SecureContext } from "../../kernel/modules.ts";
import type { TlsPlan } from "../../tls/options.ts";
import { lost } from "../errors.ts";
import type { NodeSocket } from "./net.ts";
import { giveOnread } from "./onread.ts";
import { listenTo, type NodeTransport, type Session } from "./transport.ts";

/** The part of `tls.TLSSocket` that is used. */
export interface TlsSocket extends Omit<NodeSocket, "_handle">, AnyTlsSocket {
  readonly servername: string | false | null;
  /** The same object as `_handle`, by which `tls.Server` checks clients. Not documented. */
  readonly ssl: { verifyError?(): Error | string | null | undefined } | null;
  readonly _handle: NodeSocket["_handle"] & { readonly reading?: boolean };
  getProtocol(): string | null;
  /** Makes a server's socket report errors of TLS, as `tls.Server` does. Not documented. */
  _releaseControl?(): unknown;
  /** The method of streams that is called with bytes that have arrived, or `null` at the end. */
  push: (chunk: unknown) => boolean;
}

type SniDone = (error: Error | null, context?: SecureContext) => void;

/** Options that clients and servers have. */
interface SharedOptions {
  readonly secureContext: SecureContext;
  readonly ALPNProtocols?: readonly string[];
  readonly rejectUnauthorized: boolean;
}

interface NodeTls {
  connect(
    options: SharedOptions & {
      socket: object;
      servername: string | undefined;
      checkServerIdentity(): undefined;
    },
  ): TlsSocket;
  TLSSocket: new (
    socket: object,
    options: SharedOptions & {
      isServer: true;
      requestCert: boolean;
      SNICallback?: (name: string, done: SniDone) => void;
    },
  ) => TlsSocket;
}

/** Starts TLS over a `net.Socket`. */
export function secure(transport: Transport, plan: TlsPlan): Attempt {
  const socket = (transport as NodeTransport).release(plan.early);
  return new Handshake(socket, plan, (native) => new NodeSession(native, transport, socket));
}

/** TLS whose handshake is not over yet. */
export interface OpeningSession {
  /** Called when the handshake is over. Returns the transport of what follows. */
  opened(tls: TlsInformation): Transport;
  /** Called after the certificate for a name was looked up. */
  flush?(): void;
}

/** One handshake over `wire`, a duplex stream. */
export class Handshake implements Attempt {
  readonly opened: Promise<Transport>;
  readonly #native: TlsSocket;
  #over = false;

  constructor(
    wire: object,
    plan: TlsPlan,
    open: (native: TlsSocket) => OpeningSession,
  ) {
    const native = this.#native = start(wire, plan, () => session.flush?.());
    const session = open(native);
    this.opened = new Promise((resolve, reject) => {
      const fail = (cause: unknown) => {
        reject(cause);
        this.abort();
      };
      const gone = () => fail(lost());
      native.on("error", fail);
      native.on("close", gone);
      const settle = () => {
        if (this.#over) return;
        // Read once, since the runtime makes a new object each time.
        const certificate = native.getPeerCertificate() ?? {};
        const refused = refusal(native, plan, certificate);
        if (refused !== undefined) return fail(refused);
        this.#over = true;
        native.off("error", fail);
        native.off("close", gone);
        const name = plan.server ? native.servername : plan.serverName;
        resolve(session.opened(inform(native, native.getProtocol(), name, certificate)));
      };
      // Node emits this from within OpenSSL, which before Node 26 forgets a `close_notify` that is sent
      // there.
      native.once(plan.server ? "secure" : "secureConnect", () => {
        native._releaseControl?.();
        nativeTimers().setImmediate(settle);
      });
    });
  }

  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#native.destroy();
  }
}

function start(wire: object, plan: TlsPlan, flush: () => void): TlsSocket {
  const { connect, TLSSocket } = builtin<NodeTls>("node:tls")!;
  const { context, alpnProtocols, rejectUnauthorized } = plan;
  const shared = {
    secureContext: context,
    // Deno does not show the certificate of a server that it refuses, so `refusal` checks it.
    rejectUnauthorized: plan.server && rejectUnauthorized,
    ...alpnProtocols && { ALPNProtocols: alpnProtocols },
  };
  if (!plan.server) {
    return connect({
      ...shared,
      socket: wire,
      servername: plan.serverName,
      checkServerIdentity: () => undefined,
    });
  }
  const { requestCert, sni } = plan;
  const options = { ...shared, isServer: true as const, requestCert };
  if (sni === undefined) return new TLSSocket(wire, options);
  const SNICallback = (name: string, done: SniDone) => {
    // Deno calls this also for clients that sent no name.
    if (name === "") return done(null, context);
    sni(name).then(
      (found) => done(null, found ?? context),
      (error) => done(error instanceof Error ? error : new Error(String(error))),
    ).finally(flush);
  };
  return new TLSSocket(wire, { ...options, SNICallback });
}

/** The problem with the peer's certificate, if there is one and the certificate has to be valid. */
function refusal(native: TlsSocket, plan: TlsPlan, certificate: Certificate): Error | undefined {
  if (!plan.rejectUnauthorized || plan.server && !plan.requestCert) return undefined;
  if (native.ssl?.verifyError === undefined) return unverified("CERT_UNTRUSTED");
  const error = native.ssl.verifyError();
  if (error instanceof Error) return error;
  if (!error) return plan.server ? undefined : misnamed(plan.name, certificate);
  // Deno has the same code for most problems, so the certificate's dates are checked here.
  const { valid_from: from = "", valid_to: to = "" } = certificate;
  if (Date.parse(to) < Date.now()) return unverified("CERT_HAS_EXPIRED");
  return unverified(Date.parse(from) > Date.now() ? "CERT_NOT_YET_VALID" : error);
}

function unverified(code: string): Error {
  const message = `the peer's certificate is not trusted: ${
    code.toLowerCase().replaceAll("_", " ")
  }`;
  return coded(code, message);
}

/**
 * Tells FIN from `close_notify`, for which Node has the same event
 * (https://github.com/nodejs/node/issues/38870). After `close_notify` libuv still reads, and after FIN
 * it does not, which the result of starting to read shows. Can go when Node tells them apart.
 */
class NodeSession implements Session, OpeningSession {
  tls!: TlsInformation;
  truncated = false;
  resting = false;
  hastened = false;
  /** Of other runtimes that is not known. */
  readonly direct: boolean = runtime().name === "node";
  #ended = false;
  readonly #native: TlsSocket;
  readonly #socket: NodeSocket;
  readonly #known: KnownEnds;

  /**
   * Notices the end in `push`, since the event of the end may come much later. The first one counts: after
   * `close_notify` the peer's FIN is another.
   */
  constructor(native: TlsSocket, { localAddr, remoteAddr }: Transport, socket: NodeSocket) {
    this.#native = native;
    this.#socket = socket;
    this.#known = { local: localAddr, remote: remoteAddr };
    const { push } = native;
    native.push = (chunk) => {
      if (chunk === null && !this.#ended) {
        this.#ended = true;
        this.truncated = this.#endsByFin();
      }
      return push.call(native, chunk);
    };
  }

  opened(tls: TlsInformation): Transport {
    this.tls = tls;
    this.#native.pause();
    const native = this.#native as unknown as NodeSocket;
    const transport = listenTo(native, this.#known, this);
    // What has arrived before still comes by events, and first.
    if (this.direct) giveOnread(native);
    return transport;
  }

  /** Whether the end that `native` just gets is the peer's FIN and not its `close_notify`. */
  #endsByFin(): boolean {
    // The socket does not read from the network, so the end cannot come from there.
    if (this.#native._handle?.reading === false) return false;
    const result = this.#socket._handle?.readStart?.();
    if (result === undefined) return false;
    return result === 0 ||
      builtin("node:util").getSystemErrorName(result) !== "EALREADY";
  }

  get sent(): number {
    const { writeQueueSize = 0, bytesWritten = 0 } = this.#socket._handle ?? {};
    return writeQueueSize > 0 ? -1 : bytesWritten;
  }

  /** Resets when the TLS socket is destroyed, as Node crashes if the TCP socket goes first. */
  reset(): void {
    // Not documented.
    this.#socket.resetAndClosing = true;
  }
}
