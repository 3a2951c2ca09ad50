/**
 * What a TLS handshake has settled.
 *
 * @module
 */

import { builtin } from "../kernel/system.ts";

/**
 * A certificate that the peer has shown.
 *
 * @example Who is at the other end
 * ```ts
 * import type { TcpConnection } from "@holdfast/tcp";
 *
 * const nameOf = ({ tls }: TcpConnection) => tls?.peerCertificate?.subject;
 * console.log(typeof nameOf); // function
 * ```
 */
export interface PeerCertificate {
  /** Who it is for, such as `"CN=localhost"`; several parts are on a line each. */
  readonly subject: string;
  /** Who signed it. */
  readonly issuer: string;
  /** Names that it is for, such as `"DNS:localhost, IP Address:127.0.0.1"`. */
  readonly subjectAltName: string | undefined;
  /** From when on it counts. */
  readonly validFrom: Date;
  /** Until when it counts. */
  readonly validTo: Date;
  /** Hexadecimal. */
  readonly serialNumber: string;
  /** SHA-256 of `raw`, as hexadecimal pairs with colons between. */
  readonly fingerprint256: string;
  /** The certificate itself, DER. */
  readonly raw: Uint8Array;
}

/**
 * What the handshake of a connection has settled.
 *
 * @example Which protocol the server chose
 * ```ts
 * import type { TcpConnection } from "@holdfast/tcp";
 *
 * const isHttp2 = ({ tls }: TcpConnection) => tls?.alpnProtocol === "h2";
 * console.log(typeof isHttp2); // function
 * ```
 */
export interface TlsInformation {
  /** `"TLSv1.3"` or `"TLSv1.2"`. */
  readonly protocol: string;
  /** Name of the cipher suite as IANA has it, such as `"TLS_AES_128_GCM_SHA256"`. */
  readonly cipher: string;
  /** The protocol that both sides want (ALPN), if they have spoken of one. */
  readonly alpnProtocol: string | undefined;
  /** The name that the client asked for (SNI), if it asked for one. */
  readonly serverName: string | undefined;
  /** The peer's certificate; a client need not have one. */
  readonly peerCertificate: PeerCertificate | undefined;
}

/** What the sockets of all runtimes tell in the same way. */
interface TlsSocket {
  readonly alpnProtocol?: string | false | null;
  getCipher(): { standardName?: string; name: string } | null;
  getPeerCertificate(detailed?: boolean): { raw?: Uint8Array } | null | undefined;
}

interface NodeCrypto {
  X509Certificate: new (raw: Uint8Array) => {
    readonly subject: string;
    readonly issuer: string;
    readonly subjectAltName?: string;
    readonly validFrom: string;
    readonly validTo: string;
    readonly serialNumber: string;
    readonly fingerprint256: string;
  };
}

/** Reads from a socket what its handshake has settled. */
export function inform(
  socket: TlsSocket,
  protocol: string | null,
  serverName: string | false | null | undefined,
): TlsInformation {
  const { alpnProtocol } = socket;
  const cipher = socket.getCipher();
  return new Information(
    protocol ?? "unknown",
    cipher?.standardName ?? cipher?.name ?? "unknown",
    alpnProtocol || undefined,
    serverName || undefined,
    socket.getPeerCertificate()?.raw,
  );
}

class Information implements TlsInformation {
  readonly protocol: string;
  readonly cipher: string;
  readonly alpnProtocol: string | undefined;
  readonly serverName: string | undefined;
  readonly #raw: Uint8Array | undefined;

  constructor(
    protocol: string,
    cipher: string,
    alpnProtocol: string | undefined,
    serverName: string | undefined,
    raw: Uint8Array | undefined,
  ) {
    this.protocol = protocol;
    this.cipher = cipher;
    this.alpnProtocol = alpnProtocol;
    this.serverName = serverName;
    this.#raw = raw;
  }

  /** Read when asked for: most connections are never asked. */
  get peerCertificate(): PeerCertificate | undefined {
    if (this.#raw === undefined) return undefined;
    const raw = new Uint8Array(this.#raw);
    const { X509Certificate } = builtin<NodeCrypto>("node:crypto")!;
    const certificate = new X509Certificate(raw);
    const { subject, issuer, subjectAltName, serialNumber, fingerprint256 } = certificate;
    return {
      subject,
      issuer,
      subjectAltName,
      validFrom: new Date(certificate.validFrom),
      validTo: new Date(certificate.validTo),
      serialNumber,
      fingerprint256,
      raw,
    };
  }
}
