/**
 * TCP sockets whose timeouts, address reuse and keepalive mean the same in Deno, Bun and Node.js.
 *
 * A timeout asks how long to wait for a call; keepalive asks whether the peer of an idle connection
 * is still there. A robust program uses both: {@linkcode connect} and {@linkcode listen} take them
 * together, and {@linkcode setOptions} gives keepalive to sockets that other libraries opened.
 *
 * @example A client that neither hangs nor stays on a dead connection
 * ```ts
 * import { connect, listen } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 30_000 });
 * using socket = await connect({
 *   hostname: "127.0.0.1",
 *   port: listener.addr.port,
 *   timeout: 10_000,
 *   keepAlive: { idle: 60_000, interval: 10_000, count: 3 },
 * });
 * console.log(socket.getOptions().keepAlive); // { idle: 60000, interval: 10000, count: 3 }
 * ```
 *
 * @module
 */

// Opening sockets
export { connect } from "./src/connect.ts";
export { listen } from "./src/listen.ts";
export { connector } from "./src/connector.ts";
export type { Connector, ConnectorOptions, ConnectorTarget } from "./src/connector.ts";
export { type ListenFd, listenFds } from "./src/listen_fds.ts";
export { startTls } from "./src/tls/upgrade.ts";
export { wrap, type WrapOptions } from "./src/wrap.ts";
export type { TcpConnection } from "./src/connection/types.ts";
export type { ListenerStats, Shutdown, TcpListener } from "./src/listener.ts";
export type { UnixConnection, UnixListener } from "./src/unix.ts";
export type { NetAddr, UnixAddr } from "./src/kernel/address.ts";

// TLS
export type { ServerTlsOptions, TlsCertificate, TlsOptions } from "./src/tls/options.ts";
export type { PeerCertificate, TlsInformation } from "./src/tls/information.ts";

// Time
export { Deadline } from "./src/time/deadline.ts";
export type { CallOptions } from "./src/time/calls.ts";

// Options
export type {
  ConnectOptions,
  ConnectTimeouts,
  KeepAliveOptions,
  KernelOptions,
  ListenOptions,
  ListenSettings,
  ListenTimeouts,
  RetryOptions,
  SocketOptions,
  Timeouts,
  UnixConnectOptions,
  UnixListenOptions,
} from "./src/options/types.ts";
export { type AnySocket, getOptions, setOptions } from "./src/options/any_socket.ts";
export { getsockopt, setsockopt } from "./src/options/raw.ts";
export { tcpInfo } from "./src/options/tcp_info.ts";
export type { TcpInfo, TcpState } from "./src/kernel/tcp_info.ts";
export { type ConstantName, constants } from "./src/kernel/constants.ts";
export { capabilities, onlySupported } from "./src/options/capabilities.ts";
export type { Capabilities, Capability, CapabilityName } from "./src/options/capabilities.ts";
export type { Road } from "./src/options/support.ts";

// Every socket of the process
export { evict, type EvictCriteria } from "./src/process/evict.ts";
export { guard } from "./src/process/guard.ts";
export type { Guard, GuardOptions, GuardStats } from "./src/process/guard.ts";
export { sockets } from "./src/process/sockets.ts";
export type { SocketCriteria, SocketFilter } from "./src/process/filter.ts";
export type { SocketEntry } from "./src/kernel/entry.ts";

// Errors
export { DeadPeerError, SocketError, TimeoutError, UnsupportedOptionError } from "./src/errors.ts";
export type {
  ErrorAddress,
  Operation,
  SocketErrorOptions,
  TimeoutErrorOptions,
  UnsupportedOptionErrorOptions,
} from "./src/errors.ts";
export type { Bytes } from "./src/memory.ts";
