/**
 * `struct tcp_info` of Linux and `struct tcp_connection_info` of macOS, decoded.
 *
 * @module
 */

import type { TcpInfo, TcpState } from "../tcp_info.ts";

const little = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Reads fields as far as the kernel filled them: an older one fills fewer. */
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
    return this.#view.getUint32(offset, little) / scale;
  }

  /** Beyond 2^53 it would be inexact; no byte count gets there. */
  u64(offset: number, scale = 1): number | undefined {
    if (offset + 8 > this.#view.byteLength) return undefined;
    return Number(this.#view.getBigUint64(offset, little)) / scale;
  }
}

/** `include/net/tcp_states.h`, from 1. */
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

/** `include/uapi/linux/tcp.h`. Most times are in microseconds, those since an event in ms. */
export function linuxInfo(view: DataView): TcpInfo {
  const at = new Fields(view);
  return {
    state: linuxStates[at.u8(0)! - 1] ?? "CLOSED",
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

/** `bsd/netinet/tcp_fsm.h`, from 0. */
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

/** XNU `bsd/netinet/tcp.h`, `struct tcp_connection_info`. Times are in ms. */
export function darwinInfo(view: DataView): TcpInfo {
  const at = new Fields(view);
  return {
    state: darwinStates[at.u8(0)!] ?? "CLOSED",
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
