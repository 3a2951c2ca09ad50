/**
 * The kernel's numbers, one row per name and one column per system; `null` where a system has
 * no such option. Sources: Linux UAPI headers, XNU `bsd/sys/socket.h` and `bsd/netinet/tcp.h`,
 * FreeBSD `sys/sys/socket.h` and `sys/netinet/tcp.h`, the Windows SDK's `ws2def.h` and `ws2ipdef.h`.
 */

import { type KnownSystem, knownSystem } from "./system.ts";

/** The columns of the table, left to right. What a row leaves out at its end counts as `null`. */
const systems: readonly (KnownSystem | undefined)[] = ["linux", "darwin", "freebsd", "windows"];

/** Name of a level or socket option, as in the system's C headers. */
export type ConstantName =
  | "SOL_SOCKET"
  | "IPPROTO_IP"
  | "IPPROTO_TCP"
  | "IPPROTO_IPV6"
  | "SO_REUSEADDR"
  | "SO_REUSEPORT"
  | "SO_REUSEPORT_LB"
  | "SO_EXCLUSIVEADDRUSE"
  | "SO_KEEPALIVE"
  | "SO_LINGER"
  | "SO_LINGER_SEC"
  | "SO_RCVBUF"
  | "SO_SNDBUF"
  | "SO_TYPE"
  | "SO_ACCEPTCONN"
  | "SO_PROTOCOL"
  | "SO_DOMAIN"
  | "SO_COOKIE"
  | "SO_MEMINFO"
  | "SO_BINDTODEVICE"
  | "SO_ATTACH_REUSEPORT_CBPF"
  | "SO_DETACH_REUSEPORT_BPF"
  | "SO_ATTACH_FILTER"
  | "SO_DETACH_FILTER"
  | "TCP_NODELAY"
  | "TCP_MAXSEG"
  | "TCP_KEEPIDLE"
  | "TCP_KEEPALIVE"
  | "TCP_KEEPINTVL"
  | "TCP_KEEPCNT"
  | "TCP_USER_TIMEOUT"
  | "TCP_RXT_CONNDROPTIME"
  | "TCP_MAXUNACKTIME"
  | "TCP_MAXRT"
  | "TCP_RTO_MAX_MS"
  | "TCP_SYNCNT"
  | "TCP_INFO"
  | "TCP_CONNECTION_INFO"
  | "TCP_CONGESTION"
  | "TCP_NOTSENT_LOWAT"
  | "TCP_QUICKACK"
  | "IP_TOS"
  | "IP_TTL"
  | "IP_BIND_ADDRESS_NO_PORT"
  | "IPV6_TCLASS"
  | "IPV6_UNICAST_HOPS"
  | "IPV6_V6ONLY";

const table: Readonly<Record<ConstantName, readonly (number | null)[]>> = {
  SOL_SOCKET: [1, 0xffff, 0xffff, 0xffff],
  IPPROTO_IP: [0, 0, 0, 0],
  IPPROTO_TCP: [6, 6, 6, 6],
  IPPROTO_IPV6: [41, 41, 41, 41],

  SO_REUSEADDR: [2, 0x4, 0x4, 0x4],
  SO_REUSEPORT: [15, 0x200, 0x200],
  SO_REUSEPORT_LB: [null, null, 0x10000],
  SO_EXCLUSIVEADDRUSE: [null, null, null, -5],
  SO_KEEPALIVE: [9, 0x8, 0x8, 0x8],
  SO_LINGER: [13, 0x80, 0x80, 0x80],
  SO_LINGER_SEC: [null, 0x1080],
  SO_RCVBUF: [8, 0x1002, 0x1002, 0x1002],
  SO_SNDBUF: [7, 0x1001, 0x1001, 0x1001],
  SO_TYPE: [3, 0x1008, 0x1008, 0x1008],
  SO_ACCEPTCONN: [30, 0x2, 0x2, 0x2],
  SO_PROTOCOL: [38, null, 0x1016],
  SO_DOMAIN: [39, null, 0x1019],
  SO_COOKIE: [57],
  SO_MEMINFO: [55],
  SO_BINDTODEVICE: [25],
  SO_ATTACH_REUSEPORT_CBPF: [51],
  SO_DETACH_REUSEPORT_BPF: [68],
  SO_ATTACH_FILTER: [26],
  SO_DETACH_FILTER: [27],

  TCP_NODELAY: [1, 1, 1, 1],
  TCP_MAXSEG: [2, 2, 2, 4],
  TCP_KEEPIDLE: [4, null, 256, 3],
  TCP_KEEPALIVE: [null, 0x10, null, 3],
  TCP_KEEPINTVL: [5, 0x101, 512, 17],
  TCP_KEEPCNT: [6, 0x102, 1024, 16],
  TCP_USER_TIMEOUT: [18],
  TCP_RXT_CONNDROPTIME: [null, 0x80],
  TCP_MAXUNACKTIME: [null, null, 68],
  TCP_MAXRT: [null, null, null, 5],
  TCP_RTO_MAX_MS: [44],
  TCP_SYNCNT: [7],
  TCP_INFO: [11, null, 32],
  TCP_CONNECTION_INFO: [null, 0x106],
  TCP_CONGESTION: [13, null, 64],
  TCP_NOTSENT_LOWAT: [25, 0x201],
  TCP_QUICKACK: [12],

  IP_TOS: [1, 3, 3, 3],
  IP_TTL: [2, 4, 4, 4],
  IP_BIND_ADDRESS_NO_PORT: [24],
  IPV6_TCLASS: [67, 36, 61, 39],
  IPV6_UNICAST_HOPS: [16, 4, 4, 4],
  IPV6_V6ONLY: [26, 27, 27, 27],
};

const column = systems.indexOf(knownSystem());

/**
 * Levels and option names of the running system, by their C names, for
 * {@linkcode getsockopt} and {@linkcode setsockopt}. A name that this system does not have is
 * `undefined`; it never gets the number of another system.
 *
 * @example Read an option by its kernel name
 * ```ts
 * import { constants, getsockopt, listen } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: null });
 * const { SOL_SOCKET, SO_REUSEADDR } = constants;
 * if (SOL_SOCKET !== undefined && SO_REUSEADDR !== undefined) {
 *   console.log(getsockopt(listener, SOL_SOCKET, SO_REUSEADDR)[0]); // 1
 * }
 * ```
 */
export const constants: Readonly<Record<ConstantName, number | undefined>> = Object.freeze(
  Object.fromEntries(
    Object.entries(table).map(([name, row]) => [name, row[column] ?? undefined]),
  ) as Record<ConstantName, number | undefined>,
);
