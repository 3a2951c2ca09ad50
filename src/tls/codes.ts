/**
 * The codes of TLS errors, which are the same in every runtime.
 *
 * @module
 */

/** Node's names of OpenSSL's reasons, https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const certificateCodes = new Set([
  "CERT_CHAIN_TOO_LONG",
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_REJECTED",
  "CERT_REVOKED",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "ERR_TLS_CERT_ALTNAME_INVALID",
  "HOSTNAME_MISMATCH",
  "INVALID_CA",
  "INVALID_PURPOSE",
  "PATH_LENGTH_EXCEEDED",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

/** The code for a runtime's TLS error: a certificate's problem has its own, and the rest have `EPROTO`. */
export function tlsCode(code: string): string | undefined {
  if (certificateCodes.has(code)) return code;
  return /^ERR_(TLS|SSL|OSSL|BORINGSSL)(_|$)/.test(code) ? "EPROTO" : undefined;
}
