/**
 * The table of socket options. From its rows follow validation, setting, reading, capabilities and
 * documentation, so a new option is a new row here and a key in `SocketOptions`.
 */

import type { KeepAliveOptions, KernelOptions } from "./types.ts";
import type { ConstantName } from "../kernel/constants.ts";
import type { KnownSystem } from "../kernel/system.ts";

/** A row's name: a key of `KernelOptions`, or a value of `keepAlive`. */
export type RowName =
  | Exclude<keyof KernelOptions, "deadPeerTimeout">
  | `keepAlive.${keyof KeepAliveOptions}`;

/** Where one system keeps an option: its level and name, and for times the unit. */
export interface Place {
  readonly level: "SOL_SOCKET" | "IPPROTO_IP" | "IPPROTO_TCP" | "IPPROTO_IPV6";
  readonly name: ConstantName;
  readonly unit?: "s" | "ms";
}

/** The type of a value here and in the kernel. `linger` is a struct of two ints, `name` a string. */
export type Kind = "flag" | "time" | "number" | "bytes" | "linger" | "name";

/** One socket option. */
export interface Row {
  readonly kind: Kind;
  /** The accepted range, inclusive. Times are in ms. */
  readonly min: number;
  readonly max: number;
  /** What `null` means. Without this, `null` is not accepted. */
  readonly null?: string;
  readonly readOnly?: true;
  /** It has to be set before bind, which `listen` does. Reading it is of use for listeners only. */
  readonly bind?: true;
  /** The systems that have it. Of two places the first is for IPv4 and the second for IPv6. */
  readonly places: Partial<Record<KnownSystem, readonly [Place] | readonly [Place, Place]>>;
}

function socket(name: ConstantName, unit?: Place["unit"]): readonly [Place] {
  return [{ level: "SOL_SOCKET", name, unit }];
}

function tcp(name: ConstantName, unit?: Place["unit"]): readonly [Place] {
  return [{ level: "IPPROTO_TCP", name, unit }];
}

function ip(name4: ConstantName, name6: ConstantName): readonly [Place, Place] {
  return [{ level: "IPPROTO_IP", name: name4 }, { level: "IPPROTO_IPV6", name: name6 }];
}

function everywhere(place: Row["places"][KnownSystem]): Row["places"] {
  return { linux: place, darwin: place, freebsd: place, windows: place };
}

const int = 2 ** 31 - 1;
const flag = { kind: "flag", min: 0, max: 1 } as const;
/** A smaller value is refused, as it was most likely meant in seconds. */
const leastTime = 1_000;
/** The limits of Linux, which hold on every system, so that all accept the same values. */
const seconds = { kind: "time", min: leastTime, max: 32_767_000 } as const;
const byte = { kind: "number", max: 255 } as const;
const bind = { ...flag, readOnly: true, bind: true } as const;

/**
 * All socket options, in the order in which they are set. What the kernel may refuse comes first, so that
 * a refused call has changed nothing. Keepalive's values come before its switch, which starts the timer.
 */
export const rows: Readonly<Record<RowName, Row>> = {
  "congestionControl": {
    kind: "name",
    min: 1,
    max: 15,
    places: { linux: tcp("TCP_CONGESTION"), freebsd: tcp("TCP_CONGESTION") },
  },
  "keepAlive.idle": {
    ...seconds,
    places: { ...everywhere(tcp("TCP_KEEPIDLE", "s")), darwin: tcp("TCP_KEEPALIVE", "s") },
  },
  "keepAlive.interval": { ...seconds, places: everywhere(tcp("TCP_KEEPINTVL", "s")) },
  "keepAlive.count": { kind: "number", min: 1, max: 127, places: everywhere(tcp("TCP_KEEPCNT")) },
  "keepAlive": { ...flag, places: everywhere(socket("SO_KEEPALIVE")) },
  "userTimeout": {
    kind: "time",
    min: leastTime,
    max: int,
    null: "the system's default",
    places: {
      linux: tcp("TCP_USER_TIMEOUT", "ms"),
      darwin: tcp("TCP_RXT_CONNDROPTIME", "s"),
      freebsd: tcp("TCP_MAXUNACKTIME", "s"),
      windows: tcp("TCP_MAXRT", "s"),
    },
  },
  "noDelay": { ...flag, places: everywhere(tcp("TCP_NODELAY")) },
  "linger": {
    kind: "linger",
    min: 0,
    max: 32_767_000,
    null: "off",
    places: {
      linux: socket("SO_LINGER", "s"),
      // On macOS, SO_LINGER itself counts in ticks.
      darwin: socket("SO_LINGER_SEC", "s"),
      freebsd: socket("SO_LINGER", "s"),
      // Windows is missing: its struct has two shorts, and its sockets cannot be reached anyway.
    },
  },
  "receiveBufferSize": { kind: "bytes", min: 1, max: int, places: everywhere(socket("SO_RCVBUF")) },
  "sendBufferSize": { kind: "bytes", min: 1, max: int, places: everywhere(socket("SO_SNDBUF")) },
  "typeOfService": { ...byte, min: 0, places: everywhere(ip("IP_TOS", "IPV6_TCLASS")) },
  "hopLimit": { ...byte, min: 1, places: everywhere(ip("IP_TTL", "IPV6_UNICAST_HOPS")) },
  "notSentLowWaterMark": {
    kind: "bytes",
    min: 0,
    max: int,
    places: { linux: tcp("TCP_NOTSENT_LOWAT"), darwin: tcp("TCP_NOTSENT_LOWAT") },
  },
  "maxSegmentSize": {
    kind: "bytes",
    min: 1,
    max: 65_535,
    readOnly: true,
    places: everywhere(tcp("TCP_MAXSEG")),
  },
  "reuseAddress": { ...bind, places: everywhere(socket("SO_REUSEADDR")) },
  "reusePort": {
    ...bind,
    places: {
      linux: socket("SO_REUSEPORT"),
      darwin: socket("SO_REUSEPORT"),
      freebsd: socket("SO_REUSEPORT"),
    },
  },
  // An IPv4 socket does not have it.
  "ipv6Only": { ...bind, places: everywhere([{ level: "IPPROTO_IPV6", name: "IPV6_V6ONLY" }]) },
};
