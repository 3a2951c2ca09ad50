/** `connect`: checks the options, dials, and makes a connection, under one limit. */

import type { Attempt, Transport } from "./adapter.ts";
import { Connection } from "./connection/connection.ts";
import type { TcpConnection } from "./connection/types.ts";
import { Dialling } from "./dialling.ts";
import { retraced } from "./errors.ts";
import { checkConnect, isUnix } from "./options/validate.ts";
import type { ConnectOptions, UnixConnectOptions } from "./options/types.ts";
import { dialUnix, type UnixConnection } from "./unix.ts";
import { prepareDial, Thrown } from "./options/dial.ts";
import { adapter } from "./runtime.ts";
import { applyPlan, supportedPlan } from "./options/apply.ts";
import { forgetDialling, noteDialling, noteHandshake, noteOpened } from "./options/ours.ts";
import { mustBeInTime } from "./time/calls.ts";
import { timers } from "./time/timers.ts";

/**
 * Opens a TCP connection. `timeout` is required. It limits name resolution, every address tried and the
 * handshake together, and later reads and writes. Options are in force when the promise resolves. After a
 * timeout or an abort no socket of the attempt is left.
 *
 * @param options Where to, how long at most, and socket options.
 * @throws {TypeError | RangeError} An option is unknown, missing or out of range; nothing was dialled.
 * @throws {UnsupportedOptionError} An option cannot be set on this platform; nothing was dialled.
 * @throws {TimeoutError} It took longer than the limit.
 * @throws {SocketError} Such as `ECONNREFUSED` or `ENOTFOUND`; with `tls` what the peer's certificate
 * lacks, such as `CERT_HAS_EXPIRED`, or `EPROTO` when the two cannot agree.
 *
 * @example Connect with limits and keepalive
 * ```ts
 * import { connect, listen } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 30_000 });
 * using socket = await connect({
 *   hostname: "127.0.0.1",
 *   port: listener.addr.port,
 *   timeout: { connect: 5_000, read: 30_000, write: 10_000 },
 *   keepAlive: true,
 * });
 * console.log(socket.timeouts.read); // 30000
 * ```
 */
export function connect(options: ConnectOptions): Promise<TcpConnection>;
/**
 * Opens a connection to a Unix socket. `timeout` and its kin mean the same as for TCP.
 *
 * @param options Where to, and how long at most. Options of TCP are refused.
 * @throws {TypeError | RangeError} An option is unknown, TCP's, missing or out of range.
 * @throws {TimeoutError} Our clock ran out.
 * @throws {SocketError} Such as `ENOENT` or `ECONNREFUSED`.
 */
export function connect(options: UnixConnectOptions): Promise<UnixConnection>;
export async function connect(
  options: ConnectOptions | UnixConnectOptions,
): Promise<TcpConnection | UnixConnection> {
  if (isUnix(options)) return await dialUnix(options);
  const plan = checkConnect(options);
  const runtime = adapter();
  const { steps, deadPeerTimeout } = supportedPlan(plan.socket, runtime.natives());
  const { target, timeouts, deadline, signal, tls } = plan;
  const limits = { timeout: timeouts.connect, deadline, signal };
  mustBeInTime(limits, { operation: "connect", address: target });
  const { before, source, later } = prepareDial(plan.dial, steps, signal);
  let forget = () => {};
  const prepare = (transport: Transport): Attempt | undefined => {
    applyPlan(runtime.openedHandle(transport.native), later);
    if (tls === undefined) return undefined;
    forget();
    forget = noteHandshake(transport);
    return runtime.secure(transport, tls);
  };
  noteDialling(target.port);
  try {
    const dial = (hostname: string, port: number) =>
      runtime.connect({ hostname, port, before, source });
    const transport = await new Dialling(target, limits, plan.dial.retry, dial, prepare).promise;
    const name = target.hostname;
    const connection = new Connection(transport, timeouts, timers, deadPeerTimeout, name);
    noteOpened(connection);
    return connection;
  } catch (error) {
    throw error instanceof Thrown ? error.reason : retraced(error);
  } finally {
    forget();
    forgetDialling(target.port);
  }
}
