/** TLS on Bun's own sockets, by their `upgradeTLS`. */

import type { Attempt, Transport } from "../../adapter.ts";
import { coded } from "../../kernel/system_error.ts";
import { free } from "../../memory.ts";
import { nativeTimers } from "../../time/native_timers.ts";
import { Settling } from "../../time/settling.ts";
import { isCertificateCode } from "../../tls/codes.ts";
import { type AnyTlsSocket, inform, misnamed, type TlsInformation } from "../../tls/information.ts";
import type { SecureContext } from "../../kernel/modules.ts";
import type { TlsPlan } from "../../tls/options.ts";
import { lost } from "../errors.ts";
import { secure as secureNode } from "../node/tls.ts";
import { NodeTransport } from "../node/transport.ts";
import { secondOf } from "./adopt.ts";
import { loadKernel } from "./kernel.ts";
import { type BunSocket, handlers, type Receiver } from "./socket.ts";
import { BunTransport } from "./transport.ts";

/** The part of a TLS socket of Bun's that is used. */
interface TlsSocket extends Omit<BunSocket, "data">, AnyTlsSocket {
  data: unknown;
  getServername(): string | null | undefined;
  /** Continues a handshake that waits for the certificate of a name. Not documented. */
  resumeSNI(context: object | undefined, failed: boolean): void;
}

interface PlainSocket {
  upgradeTLS(options: {
    data: unknown;
    isServer: boolean;
    allowHalfOpen: boolean;
    socket: typeof tlsHandlers;
    /** What was received already. Not documented. */
    initialData: Uint8Array | undefined;
    tls: {
      secureContext: object;
      serverName: string | undefined;
      ALPNProtocols: Uint8Array | undefined;
      requestCert: boolean;
      rejectUnauthorized: boolean;
    };
  }): [raw: { data: Receiver }, native: TlsSocket];
}

type Problem = { code?: string; message?: string } | null | undefined;

const tlsHandlers = {
  ...handlers,
  handshake(socket: TlsSocket, success: boolean, problem: Problem): void {
    if (socket.data instanceof Handshake) socket.data.shaken(socket, success, problem);
  },
  /** Called with the name that a client asks for. `true` makes the handshake wait. Not documented. */
  serverName(data: unknown, name: string, socket: TlsSocket): true | undefined {
    return data instanceof Handshake ? data.findCertificate(name, socket) : undefined;
  },
};

/** Starts TLS over any of Bun's connections. */
export function secure(transport: Transport, plan: TlsPlan): Attempt {
  if (!(transport instanceof NodeTransport)) return new Handshake(transport as BunTransport, plan);
  const { kernel } = loadKernel();
  if (kernel === undefined) return secureNode(transport, plan);
  // Over a socket of `node:net`, nothing would tell FIN from `close_notify`.
  const native = transport.release(plan.early);
  const second = secondOf(kernel, native._handle!.fd!);
  second.locate({ local: transport.localAddr, remote: transport.remoteAddr });
  const early = native.read() ?? undefined;
  native.destroy();
  return new Handshake(second, { ...plan, early });
}

class Handshake implements Attempt, Receiver {
  readonly #settling = new Settling<Transport>();
  readonly opened: Promise<Transport> = this.#settling.promise;
  readonly #plain: BunTransport;
  readonly #plan: TlsPlan;
  readonly #wire = new Wire();
  #native: TlsSocket | undefined = undefined;
  #over = false;

  constructor(plain: BunTransport, plan: TlsPlan) {
    this.#plain = plain;
    this.#plan = plan;
    const { server, context, alpnProtocols, rejectUnauthorized, early } = plan;
    const socket = plain.release() as unknown as PlainSocket;
    // The plain socket keeps its handlers, since the sockets of a listener share them with it.
    const [raw, native] = socket.upgradeTLS({
      data: this,
      isServer: server,
      allowHalfOpen: true,
      socket: tlsHandlers,
      initialData: early?.length ? early : undefined,
      tls: {
        secureContext: context.context,
        serverName: server ? undefined : plan.serverName,
        ALPNProtocols: alpnProtocols && encode(alpnProtocols),
        requestCert: server ? plan.requestCert : true,
        rejectUnauthorized: server ? rejectUnauthorized : false,
      },
    });
    this.#native = native;
    // The plain one shows no descriptor any more, and until the end of the handshake there is no other.
    plain.native = native as unknown as BunSocket;
    raw.data = this.#wire;
    // Bun passes only what comes later. What is passed is freed, so this is a copy.
    if (early !== undefined) this.#wire.received(early.slice());
  }

  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#native?.terminate();
  }

  closed(cause: unknown): void {
    this.#fail(cause ?? lost());
  }

  ended(): void {
    this.#fail(lost());
  }

  /** Called when the handshake is over, which may be within `upgradeTLS`. */
  shaken(native: TlsSocket, success: boolean, problem: Problem): void {
    this.#native = native;
    if (this.#over) return;
    const plan = this.#plan;
    // Bun checks the name even when it should not, and may then show another problem of the certificate. The
    // handshake itself has succeeded. Of an address that was dialled Bun does not know, and takes "localhost".
    const unnamed = !plan.server && plan.serverName === undefined;
    if (unnamed && problem?.code === "ERR_TLS_CERT_ALTNAME_INVALID") {
      success = true;
      problem = undefined;
    }
    const done = success || !plan.rejectUnauthorized && isCertificateCode(problem?.code);
    if (!done) return this.#fail(toError(problem));
    // Read once: another read takes 1 KiB that an idle connection still has later.
    const certificate = native.getPeerCertificate();
    if (plan.rejectUnauthorized && (!plan.server || plan.requestCert)) {
      const refused = problem?.code !== undefined
        ? toError(problem)
        : plan.server
        ? undefined
        : misnamed(plan.name, certificate ?? {});
      if (refused !== undefined) return this.#fail(refused);
    }
    this.#over = true;
    const name = plan.server ? native.getServername() : plan.serverName;
    this.#wire.tls = inform(native, native.getTLSVersion(), name, certificate);
    const transport = new BunTransport(native as unknown as BunSocket, this.#wire).collect();
    const { localAddr, remoteAddr } = this.#plain;
    transport.locate({ local: localAddr, remote: remoteAddr });
    this.#settling.resolve(transport);
  }

  /** Looks up the certificate of a name, while the handshake waits. */
  findCertificate(name: string, native: TlsSocket): true | undefined {
    const plan = this.#plan;
    if (!plan.server || plan.sni === undefined || !name) return undefined;
    plan.sni(name).then(
      (found: SecureContext | undefined) => native.resumeSNI(found?.context, false),
      () => native.resumeSNI(undefined, true),
    );
    return true;
  }

  #fail(cause: unknown): void {
    if (this.#over) return;
    this.#settling.reject(cause);
    this.abort();
  }
}

let turn = 0;
let counting = false;

/** Content types and lengths of records: RFC 8446 section 5.2, for the ciphers that both versions share. */
const headerSize = 5;
const alert = 21;
const applicationData = 23;
/** What encryption adds to a record of TLS 1.3: the content type, and the tag. */
const overhead = 17;
/** A `close_notify` without encryption. */
const alertSize = 2;

/**
 * Tells FIN from `close_notify`, for which Bun reports the same end, sometimes a turn of the event loop
 * later. Records show their length, and in TLS 1.2 also what they are. In TLS 1.3 a `close_notify` is as
 * long as two bytes of data, but no data is handed out for it. One of another length, which a peer may
 * send, is known by the turn: an end in a turn without encrypted bytes is FIN. Can go when Bun tells them
 * apart.
 */
class Wire implements Receiver {
  tls!: TlsInformation;
  #turn = -1;
  /** Content type and length of the last record, of whose header `#known` bytes have come. */
  #type = 0;
  #length = 0;
  #known = 0;
  /** How many bytes of the record after its header have not come yet. */
  #rest = 0;
  /** How many bytes of data the records of the last chunk can have brought, and how many were handed out. */
  #brought = 0;
  #passed = 0;

  /** Called when encrypted bytes have come from the network. */
  received(chunk: Uint8Array): void {
    this.#turn = turn;
    this.#measure(chunk);
    free(chunk);
    if (counting) return;
    counting = true;
    nativeTimers().setImmediate(nextTurn);
  }

  #measure(chunk: Uint8Array): void {
    this.#brought = this.#passed = 0;
    for (let i = 0; i < chunk.length;) {
      if (this.#rest === 0) {
        const byte = chunk[i++]!;
        if (this.#known === 0) this.#type = byte;
        // The last two bytes.
        this.#length = (this.#length << 8 | byte) & 0xffff;
        if (++this.#known < headerSize) continue;
        this.#known = 0;
        this.#rest = this.#length;
      } else {
        const size = Math.min(this.#rest, chunk.length - i);
        this.#rest -= size;
        i += size;
        if (this.#rest === 0 && this.#type === applicationData) {
          this.#brought += this.#length - overhead;
        }
      }
    }
  }

  passed(size: number): void {
    this.#passed += size;
  }

  /** Whether an end that comes now is the peer's FIN, not its `close_notify`. */
  get cut(): boolean {
    if (this.#known > 0 || this.#rest > 0) return true;
    if (this.tls.protocol === "TLSv1.2") return this.#type !== alert;
    if (this.#length === alertSize + overhead) {
      const left = this.#brought - this.#passed;
      // It is below 0 when Bun has handed out what came before that chunk as well.
      if (left < 0 || left === alertSize) return false;
    }
    return this.#turn !== turn;
  }
}

function nextTurn(): void {
  counting = false;
  turn++;
}

/** Encodes each protocol after its length, as RFC 7301 section 3.1 says. */
function encode(protocols: readonly string[]): Uint8Array {
  const encoder = new TextEncoder();
  return Uint8Array.from(protocols.flatMap((name) => [name.length, ...encoder.encode(name)]));
}

function toError(problem: Problem): Error {
  const { code = "EPROTO", message = "the handshake failed" } = problem ?? {};
  // Bun has one code for all that OpenSSL calls ERR_SSL_..., and the reason only in the message.
  return coded(code === "EPROTO" ? "ERR_SSL_PROTOCOL" : code, message);
}
