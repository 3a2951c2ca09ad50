/** Opens Unix sockets: the same connections and listeners, whose address is a path. */

import type { Target } from "./adapter.ts";
import { connectUnix, listenUnix } from "./adapters/unix.ts";
import { Connection } from "./connection/connection.ts";
import type { TcpConnection } from "./connection/types.ts";
import { Dialling } from "./dialling.ts";
import { toSocketError } from "./errors.ts";
import type { UnixAddr } from "./kernel/address.ts";
import { Listener, type TcpListener } from "./listener.ts";
import { checkConnectUnix, checkListenUnix } from "./options/validate.ts";
import { mustBeInTime } from "./time/calls.ts";

/**
 * A connection over a Unix socket. Methods that only make sense for TCP, such as `setOptions` and
 * `tcpInfo`, throw a TypeError, and `reset` closes the connection.
 */
export interface UnixConnection extends Omit<TcpConnection, "localAddr" | "remoteAddr"> {
  /** Address of our end. The path is empty if this is the end that dialled. */
  readonly localAddr: UnixAddr;
  /** Address of the peer. The path is empty if the peer dialled. */
  readonly remoteAddr: UnixAddr;
}

/** A listener on a Unix socket. */
export interface UnixListener
  extends Omit<TcpListener, "addr" | "accept" | typeof Symbol.asyncIterator> {
  /** Where it listens. */
  readonly addr: UnixAddr;
  /** Like `accept` of a {@linkcode TcpListener}. */
  accept(...args: Parameters<TcpListener["accept"]>): Promise<UnixConnection>;
  /** Like iteration over a {@linkcode TcpListener}. */
  [Symbol.asyncIterator](): AsyncIterableIterator<UnixConnection>;
}

export async function dialUnix(options: unknown): Promise<UnixConnection> {
  const { path, timeouts, deadline, signal } = checkConnectUnix(options);
  const limits = { timeout: timeouts.connect, deadline, signal };
  const target = { hostname: "localhost", port: 0, path, transport: "unix" } as Target;
  mustBeInTime(limits, { operation: "connect", address: target });
  const dialling = new Dialling(target, limits, undefined, () => connectUnix(path));
  const transport = await dialling.promise;
  return new Connection(transport, timeouts) as unknown as UnixConnection;
}

export async function bindUnix(options: unknown): Promise<UnixListener> {
  const { path, backlog, timeouts } = checkListenUnix(options);
  try {
    const transport = await listenUnix(path, backlog);
    return new Listener(transport, timeouts) as unknown as UnixListener;
  } catch (error) {
    throw toSocketError(error, "listen", { transport: "unix", path } as unknown as Target);
  }
}
