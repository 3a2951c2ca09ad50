/** What a TLS handshake has agreed on. */

import { builtin } from "../kernel/system.ts";

/** A certificate that the peer has shown. */
export interface PeerCertificate {
  /** Whom it was issued to, such as `"CN=localhost"`. Each part is on a line of its own. */
  readonly subject: string;
  /** Who issued it. */
  readonly issuer: string;
  /** The names for which it is valid, such as `"DNS:localhost, IP Address:127.0.0.1"`. */
  readonly subjectAltName: string | undefined;
  /** When it begins to be valid. */
  readonly validFrom: Date;
  /** When it ceases to be valid. */
  readonly validTo: Date;
  /** Its serial number in hexadecimal. */
  readonly serialNumber: string;
  /** SHA-256 of `raw`, as hexadecimal pairs with colons between. */
  readonly fingerprint256: string;
  /** The certificate itself, DER. */
  readonly raw: Uint8Array;
}

/** What the TLS handshake of a connection has agreed on. */
export interface TlsInformation {
  /** `"TLSv1.3"` or `"TLSv1.2"`. */
  readonly protocol: string;
  /** IANA's name of the cipher suite, such as `"TLS_AES_128_GCM_SHA256"`. */
  readonly cipher: string;
  /** The protocol that both sides have chosen (ALPN), if they have. */
  readonly alpnProtocol: string | undefined;
  /** The name that the client sent (SNI) in small letters, if it sent one. */
  readonly serverName: string | undefined;
  /** The peer's certificate. A client need not have one. */
  readonly peerCertificate: PeerCertificate | undefined;
}

/** The members of a runtime's object for a certificate that are used. */
export interface Certificate {
  readonly raw?: Uint8Array;
  readonly valid_from?: string;
  readonly valid_to?: string;
}

/** The members that the TLS sockets of all runtimes have in common. */
export interface AnyTlsSocket {
  readonly alpnProtocol: string | false | null;
  getCipher(): { standardName?: string; name: string } | null;
  getPeerCertificate(): Certificate | null | undefined;
}

/** Reads from a socket what its handshake has agreed on. `certificate` is the peer's. */
export function inform(
  socket: AnyTlsSocket,
  protocol: string | null,
  serverName: string | false | null | undefined,
  certificate: Certificate | null | undefined,
): TlsInformation {
  const { alpnProtocol } = socket;
  const cipher = socket.getCipher();
  const raw = certificate?.raw;
  return {
    protocol: protocol ?? "unknown",
    cipher: cipher?.standardName ?? cipher?.name ?? "unknown",
    alpnProtocol: alpnProtocol || undefined,
    serverName: serverName ? serverName.toLowerCase() : undefined,
    /** Read at each access, since most programs never look at it. */
    get peerCertificate() {
      return raw && read(raw);
    },
  };
}

function read(der: Uint8Array): PeerCertificate {
  const raw = new Uint8Array(der);
  const { X509Certificate } = builtin("node:crypto");
  const certificate = new X509Certificate(raw);
  const { subject = "", issuer = "", subjectAltName, serialNumber, fingerprint256 } = certificate;
  return {
    subject,
    issuer,
    subjectAltName,
    validFrom: new Date(certificate.validFrom),
    validTo: new Date(certificate.validTo),
    // Whole bytes: Deno leaves out a zero at the begin.
    serialNumber: serialNumber.padStart(serialNumber.length + serialNumber.length % 2, "0"),
    fingerprint256,
    raw,
  };
}

/** The error when a certificate is not for `name`, which is a name or an IP address. */
export function misnamed(name: string, certificate: Certificate): Error | undefined {
  const error = builtin("node:tls").checkServerIdentity(name, certificate);
  if (error === undefined || !name.includes(":") || certificate.raw === undefined) return error;
  // Some versions of Node.js find no IPv6 address in any certificate:
  // https://github.com/nodejs/node/issues/64144
  const { X509Certificate } = builtin("node:crypto");
  return new X509Certificate(certificate.raw).checkIP(name) === undefined ? error : undefined;
}
