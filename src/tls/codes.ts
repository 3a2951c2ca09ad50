/** Numbers of TLS, and the codes of its errors, which are the same in every runtime. */

/** The content type of a record of a handshake: RFC 8446 section 5.1. */
export const handshakeRecord = 22;

/**
 * Node's names of OpenSSL's reasons, https://nodejs.org/api/tls.html#x509-certificate-error-codes, and for the
 * usual ones, which each runtime puts in other words, ours.
 */
const problems: Readonly<Record<string, string | undefined>> = {
  CERT_CHAIN_TOO_LONG: undefined,
  CERT_HAS_EXPIRED: "the peer's certificate has expired",
  CERT_NOT_YET_VALID: "the peer's certificate is not valid yet",
  CERT_REJECTED: undefined,
  CERT_REVOKED: "the peer's certificate was revoked",
  CERT_SIGNATURE_FAILURE: undefined,
  CERT_UNTRUSTED: undefined,
  DEPTH_ZERO_SELF_SIGNED_CERT: "the peer's certificate has signed itself",
  ERR_TLS_CERT_ALTNAME_INVALID: undefined,
  HOSTNAME_MISMATCH: undefined,
  INVALID_CA: undefined,
  INVALID_PURPOSE: undefined,
  PATH_LENGTH_EXCEEDED: undefined,
  SELF_SIGNED_CERT_IN_CHAIN: "the peer's certificate leads to an authority that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT: "the trusted authority is itself signed by one that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the authority of the peer's certificate is not known",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the authority of the peer's certificate is not known",
  // The reasons for which Node has no name, such as a key that is too weak. The message has the reason.
  UNSPECIFIED: undefined,
};

/** Whether the handshake itself was fine, and only the certificate was not. */
export function isCertificateCode(code: string | undefined): boolean {
  return code !== undefined && Object.hasOwn(problems, code);
}

/**
 * Says what a TLS error is about, in the runtime's words if there are no others. Of what OpenSSL says
 * (`thread:error:number:library:function:reason:file:line:data`, BoringSSL in Bun without `thread`, and
 * the reason in capitals) this is the reason.
 */
export function tlsDetail(code: string, message: string): string {
  const [, reason] = /(?:^|:)error:[^:]*:[^:]*:[^:]*:([^:]+)/.exec(message) ?? [];
  return problems[code] ?? reason?.toLowerCase().replaceAll("_", " ") ?? message.trim();
}

/** The code for a runtime's TLS error: a certificate's problem has its own, and the rest have `EPROTO`. */
export function tlsCode(code: string): string | undefined {
  if (isCertificateCode(code)) return code;
  return /^ERR_(TLS|SSL|OSSL|BORINGSSL)(_|$)/.test(code) ? "EPROTO" : undefined;
}
