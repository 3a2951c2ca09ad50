/** Errors of connections that the runtimes have no error for, or different ones. */

import { coded } from "../kernel/system_error.ts";

/** The error for FIN without `close_notify`: the stream may have been cut (RFC 8446 section 6.1). */
export function truncation(): Error {
  return coded("ECONNRESET", "the stream ended without close_notify");
}

/** The error for bytes that came before TLS: they must not be taken for bytes that TLS protected. */
export function unread(): Error {
  return coded("ERR_TLS_EARLY", "bytes arrived before TLS began, and nobody has read them");
}

/** The error for a socket that the program has closed without `close` of its connection. */
export function destroyed(): Error {
  return coded("ECANCELED", "the socket was destroyed");
}

/** The error for a connection that was closed during the handshake. */
export function lost(): Error {
  return coded("ECONNRESET", "the peer has gone before the handshake was over");
}

/** The error of a write after the peer has closed. */
export function brokenPipe(): Error {
  return coded("EPIPE", "write EPIPE");
}
