/** Decodes `struct tcp_info` of Linux and `struct tcp_connection_info` of macOS. */

import { constants } from "./constants.ts";
import type { Kernel } from "./kernel.ts";
import type { Obstacle } from "./obstacle.ts";
import { isLittleEndian, knownSystem, systemName } from "./system.ts";

/** State of a connection, RFC 9293 section 3.3.2. */
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
 * What this kernel does not report is `undefined`. Linux `struct tcp_info`, macOS
 * `struct tcp_connection_info`.
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
  /** How many times in a row the oldest unacknowledged segment has timed out. */
  readonly retransmits?: number;
  /** Keepalive or window probes that the peer has not answered. */
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
  /** Time since data was last received. */
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
  /** Time in which the peer's window kept us from sending. Linux 4.10. */
  readonly windowLimitedTime?: number;
  /** Time in which our send buffer was too small to send more. Linux 4.10. */
  readonly bufferLimitedTime?: number;
  /** Path MTU. */
  readonly pathMtu?: number;
}

/** Reads fields as far as the kernel filled them: an older kernel fills fewer. */
class Fields {
  readonly #view: DataView;

  constructor(view: DataView) {
    this.#view = view;
  }

  u8(offset: number): number | undefined {
    return offset + 1 > this.#view.byteLength ? undefined : this.#view.getUint8(offset);
  }

  u32(offset: number, scale = 1): number | undefined {
    if (offset + 4 > this.#view.byteLength) return undefined;
    return this.#view.getUint32(offset, isLittleEndian) / scale;
  }

  /** A number above 2^53 would be inexact, but no byte count gets there. */
  u64(offset: number, scale = 1): number | undefined {
    if (offset + 8 > this.#view.byteLength) return undefined;
    return Number(this.#view.getBigUint64(offset, isLittleEndian)) / scale;
  }
}

/** In the order of `include/net/tcp_states.h`, which counts from 1. */
const linuxStates: readonly TcpState[] = [
  "ESTABLISHED",
  "SYN-SENT",
  "SYN-RECEIVED",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "TIME-WAIT",
  "CLOSED",
  "CLOSE-WAIT",
  "LAST-ACK",
  "LISTEN",
  "CLOSING",
  // TCP_NEW_SYN_RECV
  "SYN-RECEIVED",
];

function linuxState(number: number): TcpState {
  return linuxStates[number - 1] ?? "CLOSED";
}

/** `include/uapi/linux/tcp.h`. Most times are in microseconds, those since an event in ms. */
function linuxInfo(view: DataView): TcpInfo {
  const at = new Fields(view);
  return {
    state: linuxState(at.u8(0)!),
    retransmits: at.u8(2),
    probes: at.u8(3),
    backoff: at.u8(4),
    retransmitTimeout: at.u32(8, 1_000)!,
    sendMaxSegmentSize: at.u32(16)!,
    receiveMaxSegmentSize: at.u32(20),
    unacknowledged: at.u32(24),
    lost: at.u32(32),
    retransmitted: at.u32(36),
    lastDataSent: at.u32(44),
    lastDataReceived: at.u32(52),
    lastAckReceived: at.u32(56),
    pathMtu: at.u32(60),
    rtt: at.u32(68, 1_000)!,
    rttVariation: at.u32(72, 1_000)!,
    slowStartThreshold: at.u32(76)!,
    congestionWindow: at.u32(80)!,
    receiveRtt: at.u32(92, 1_000),
    receiveSpace: at.u32(96),
    totalRetransmits: at.u32(100),
    bytesAcknowledged: at.u64(120),
    bytesReceived: at.u64(128),
    notSent: at.u32(144),
    minRtt: at.u32(148) === 0xffff_ffff ? undefined : at.u32(148, 1_000),
    deliveryRate: at.u64(160),
    busyTime: at.u64(168, 1_000),
    windowLimitedTime: at.u64(176, 1_000),
    bufferLimitedTime: at.u64(184, 1_000),
    bytesSent: at.u64(200),
    bytesRetransmitted: at.u64(208),
    sendWindow: at.u32(228),
  };
}

/** In the order of `bsd/netinet/tcp_fsm.h`, which counts from 0. */
const darwinStates: readonly TcpState[] = [
  "CLOSED",
  "LISTEN",
  "SYN-SENT",
  "SYN-RECEIVED",
  "ESTABLISHED",
  "CLOSE-WAIT",
  "FIN-WAIT-1",
  "CLOSING",
  "LAST-ACK",
  "FIN-WAIT-2",
  "TIME-WAIT",
];

function darwinState(number: number): TcpState {
  return darwinStates[number] ?? "CLOSED";
}

/** XNU `bsd/netinet/tcp.h`, `struct tcp_connection_info`. Times are in ms. */
function darwinInfo(view: DataView): TcpInfo {
  const at = new Fields(view);
  return {
    state: darwinState(at.u8(0)!),
    retransmitTimeout: at.u32(12)!,
    sendMaxSegmentSize: at.u32(16)!,
    slowStartThreshold: at.u32(20)!,
    congestionWindow: at.u32(24)!,
    sendWindow: at.u32(28),
    receiveSpace: at.u32(36),
    rtt: at.u32(44)!,
    rttVariation: at.u32(48)!,
    bytesSent: at.u64(64),
    bytesRetransmitted: at.u64(72),
    bytesReceived: at.u64(88),
    totalRetransmits: at.u64(104),
  };
}

/** Larger than the struct of any kernel so far. */
const bytes = new Uint8Array(512);

/** Why the struct of this system cannot be decoded, or `undefined` where it can. */
export function layoutObstacle(): Obstacle | undefined {
  const system = knownSystem();
  if (system === "linux" || system === "darwin") return undefined;
  return { reason: `the layout of its result on ${systemName()} is not known` };
}

/** Asks the kernel, on Linux or macOS. Returns -errno when the kernel refuses. */
export function readTcpInfo(kernel: Kernel, fd: number): TcpInfo | number {
  const length = ask(kernel, fd);
  if (length < 0) return length;
  const view = new DataView(bytes.buffer, 0, length);
  return knownSystem() === "linux" ? linuxInfo(view) : darwinInfo(view);
}

/** The same for the state alone, as decoding all fields takes longer than the system call. */
export function readTcpState(kernel: Kernel, fd: number): TcpState | number {
  const length = ask(kernel, fd);
  if (length < 0) return length;
  return knownSystem() === "linux" ? linuxState(bytes[0]!) : darwinState(bytes[0]!);
}

/** Fills `bytes`. Returns how many, or -errno. */
function ask(kernel: Kernel, fd: number): number {
  const { IPPROTO_TCP, TCP_INFO, TCP_CONNECTION_INFO } = constants;
  const name = knownSystem() === "linux" ? TCP_INFO : TCP_CONNECTION_INFO;
  return kernel.getsockopt(fd, IPPROTO_TCP!, name!, bytes);
}
