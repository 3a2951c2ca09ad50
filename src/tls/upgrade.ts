/** Starts TLS on a connection that is open already, as STARTTLS does. */

import { hold, release } from "../time/hold.ts";
import { checkFlag, checkPlain, fail } from "../check.ts";
import { Connection } from "../connection/connection.ts";
import type { TcpConnection } from "../connection/types.ts";
import { checkCall } from "../options/validate.ts";
import { type CallOptions, dueOf, mustBeInTime } from "../time/calls.ts";
import { noteHandshake, noteOpened } from "../options/ours.ts";
import { timers } from "../time/timers.ts";
import { LimitedHandshake } from "./handshake.ts";
import { checkServerTls, checkTls, type ServerTlsOptions, type TlsOptions } from "./options.ts";

/**
 * Starts TLS on an open connection, after both sides have agreed to in plain text (STARTTLS). `connection`
 * cannot be used any more, also when this rejects, which closes it. The connection that is returned has
 * the same timeouts and `deadPeerTimeout`.
 *
 * It rejects if bytes have arrived that were not read, since they came in plain text and must not be taken
 * for bytes that TLS protects (RFC 3207 section 4.2 and CVE-2011-0411). For a server, a client's handshake
 * may have begun.
 *
 * @param connection A connection of ours without TLS and without a call under way.
 * @param options Like `tls` of `connect`, or with `server: true` like `tls` of `listen`.
 * @param limits Limits of the handshake, of which the earliest counts. Default: the read timeout.
 * @throws {TypeError | RangeError} An option is wrong, or `connection` is not ours. It does not change.
 * @throws {TimeoutError} The handshake took too long.
 * @throws {SocketError} `EPROTO`: unread bytes, or no TLS; `EBUSY`: a call is under way, and the
 * connection stays as it was; what the certificate lacks, such as `CERT_HAS_EXPIRED`; `ECONNRESET`.
 *
 * @example A client of a server that speaks plain text first
 * ```ts
 * import { startTls, type TcpConnection } from "@holdfast/tcp";
 *
 * async function secure(socket: TcpConnection): Promise<TcpConnection> {
 *   await socket.write(new TextEncoder().encode("STARTTLS\r\n"));
 *   await socket.read(new Uint8Array(512)); // "220 go ahead"
 *   return await startTls(socket, { serverName: "mail.example" }, { timeout: 10_000 });
 * }
 * console.log(typeof secure); // function
 * ```
 */
export async function startTls(
  connection: TcpConnection,
  options: TlsOptions | ServerTlsOptions & { server: true },
  limits: CallOptions = {},
): Promise<TcpConnection> {
  const verb = "start TLS";
  if (!(connection instanceof Connection)) {
    fail(TypeError, verb, "connection", "must be a TcpConnection", connection);
  }
  const { server, ...rest } = checkPlain(options, verb) as ServerTlsOptions & { server?: unknown };
  if (server !== undefined) checkFlag(server, "server", verb);
  const plan = server
    ? checkServerTls(rest, verb, undefined)
    : checkTls(rest, verb, undefined, connection.peerName);
  const checked = checkCall(limits, verb);
  const what = { operation: "connect", address: connection.remoteAddr } as const;
  mustBeInTime(checked, what);
  const { due, limit: timeout } = dueOf(checked, connection.timeouts.read);
  const { timeouts, peerName, deadPeerTimeout } = connection;
  const { transport, early } = connection.handOver(plan.server);
  // The runtime's socket no longer keeps the process alive, so this does.
  hold();
  const forget = noteHandshake(transport);
  let secured: Connection | undefined;
  try {
    const error = { ...what, timeout };
    const handshake = new LimitedHandshake(
      transport,
      { ...plan, early },
      error,
      due,
      checked.signal,
    );
    const opened = await handshake.promise;
    secured = new Connection(opened, timeouts, timers, deadPeerTimeout, peerName);
    noteOpened(secured);
    return secured;
  } finally {
    release();
    forget();
    connection.bequeath(secured);
  }
}
