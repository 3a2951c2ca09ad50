/**
 * What the kernel knows about one connection.
 *
 * @module
 */

import { SocketError } from "./errors.ts";
import { errnoName } from "./os/errno.ts";
import { constants } from "./os/constants.ts";
import { knownSystem, systemName } from "./os/system.ts";
import { darwinInfo, linuxInfo } from "./os/tcp_info.ts";
import { kernelFor, type Obstacle, unsupported } from "./roads.ts";
import { adapter } from "./runtime.ts";
import { type AnySocket, handleOf } from "./socket_options.ts";

/**
 * State of a connection, RFC 9293 section 3.3.2.
 *
 * @example The state of a connection
 * ```ts
 * import { connect, listen, type TcpState } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({ port: listener.addr.port, timeout: 1_000 });
 * const state: TcpState | undefined = socket.tcpInfo().state;
 * console.log(state); // ESTABLISHED
 * ```
 */
export type TcpState =
  | "ESTABLISHED"
  | "SYN-SENT"
  | "SYN-RECEIVED"
  | "FIN-WAIT-1"
  | "FIN-WAIT-2"
  | "TIME-WAIT"
  | "CLOSED"
  | "CLOSE-WAIT"
  | "LAST-ACK"
  | "LISTEN"
  | "CLOSING";

/**
 * What the kernel knows about one connection. Times are in ms, sizes in bytes unless said otherwise.
 * What this kernel does not tell is `undefined`. Linux `struct tcp_info`, macOS
 * `struct tcp_connection_info`.
 *
 * @example How far away is the peer
 * ```ts
 * import { connect, listen, type TcpInfo, tcpInfo } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({ port: listener.addr.port, timeout: 1_000 });
 * const info: TcpInfo = tcpInfo(socket);
 * console.log(info.rtt! < 1_000); // true
 * ```
 */
export interface TcpInfo {
  /** State of the connection. */
  readonly state: TcpState;
  /** Smoothed round-trip time. */
  readonly rtt: number;
  /** Variation of the round-trip time. */
  readonly rttVariation: number;
  /** Smallest round-trip time seen lately. Linux 4.6. `undefined` until there is one. */
  readonly minRtt?: number;
  /** Round-trip time as the receiving side estimates it. */
  readonly receiveRtt?: number;
  /** Time until an unacknowledged segment is sent again. */
  readonly retransmitTimeout: number;
  /** Largest segment sent. */
  readonly sendMaxSegmentSize: number;
  /** Largest segment received, as estimated. */
  readonly receiveMaxSegmentSize?: number;
  /** Congestion window, in segments (macOS: bytes). */
  readonly congestionWindow: number;
  /** Slow start threshold, in segments (macOS: bytes). */
  readonly slowStartThreshold: number;
  /** Receive window that the peer offers. Linux 5.4. 0 is a closed window. */
  readonly sendWindow?: number;
  /** Room for received data. */
  readonly receiveSpace?: number;
  /** Timeouts in a row that the oldest unacknowledged segment has had. */
  readonly retransmits?: number;
  /** Keepalive or window probes that nobody has answered. */
  readonly probes?: number;
  /** How often the retransmit timeout has been doubled. */
  readonly backoff?: number;
  /** Segments sent and not acknowledged. On a listener: connections that wait for `accept`. */
  readonly unacknowledged?: number;
  /** Segments that count as lost. */
  readonly lost?: number;
  /** Segments sent again and not acknowledged yet. */
  readonly retransmitted?: number;
  /** Segments sent again since the beginning. */
  readonly totalRetransmits?: number;
  /** Time since data was last sent. */
  readonly lastDataSent?: number;
  /** Time since data last came. */
  readonly lastDataReceived?: number;
  /** Time since the peer last acknowledged anything, with or without data. */
  readonly lastAckReceived?: number;
  /** Bytes that the peer has acknowledged. Linux 4.1. */
  readonly bytesAcknowledged?: number;
  /** Bytes received. Linux 4.1. */
  readonly bytesReceived?: number;
  /** Bytes sent, those sent again included. Linux 4.19. */
  readonly bytesSent?: number;
  /** Bytes sent again. Linux 4.19. */
  readonly bytesRetransmitted?: number;
  /** Bytes accepted from the program and not sent yet. Linux 4.6. */
  readonly notSent?: number;
  /** Latest rate at which data reached the peer, in bytes per second. Linux 4.9. */
  readonly deliveryRate?: number;
  /** Time spent sending. Linux 4.10. */
  readonly busyTime?: number;
  /** Time in which the peer's window held sending up. Linux 4.10. */
  readonly windowLimitedTime?: number;
  /** Time in which our send buffer held sending up. Linux 4.10. */
  readonly bufferLimitedTime?: number;
  /** Path MTU. */
  readonly pathMtu?: number;
}

/**
 * What the kernel knows about one connection at this moment.
 *
 * @param socket As for {@linkcode setOptions}.
 * @throws {TypeError} `socket` is not a TCP socket.
 * @throws {UnsupportedOptionError} This system has no such call, or it is out of reach.
 * @throws {SocketError} `EBADF` when the socket is closed.
 *
 * @example Round-trip time and what is on the way
 * ```ts
 * import { connect, listen, tcpInfo } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({ port: listener.addr.port, timeout: 1_000 });
 * const { state, rtt, unacknowledged } = tcpInfo(socket);
 * console.log(state, rtt < 1_000, unacknowledged); // ESTABLISHED true 0
 * ```
 */
export function tcpInfo(socket: AnySocket): TcpInfo {
  const handle = handleOf(socket, "get TCP info");
  const obstacle = tcpInfoObstacle();
  if (obstacle !== undefined) throw unsupported("tcpInfo", obstacle);
  const linux = knownSystem() === "linux";
  const name = linux ? constants.TCP_INFO : constants.TCP_CONNECTION_INFO;
  const kernel = kernelFor("tcpInfo");
  const length = kernel.getsockopt(handle.fd(), constants.IPPROTO_TCP!, name!, bytes);
  if (length < 0) throw new SocketError({ code: errnoName(-length), operation: "getsockopt" });
  const view = new DataView(bytes.buffer, 0, length);
  return linux ? linuxInfo(view) : darwinInfo(view);
}

/** Why {@linkcode tcpInfo} cannot tell, or `undefined` when it can. */
export function tcpInfoObstacle(): Obstacle | undefined {
  const system = knownSystem();
  if (system !== "linux" && system !== "darwin") {
    return { reason: `the layout of its answer on ${systemName()} is not known`, remedy: "" };
  }
  const kernel = adapter().kernel();
  return "reason" in kernel ? kernel : undefined;
}

/** More than any kernel fills so far. */
const bytes = new Uint8Array(512);
