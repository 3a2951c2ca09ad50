/** The types of the options that callers give. Every time is in milliseconds. */

import type { ServerTlsOptions, TlsOptions } from "../tls/options.ts";
import type { Deadline } from "../time/deadline.ts";

/**
 * Values of keepalive. Times are rounded up to whole seconds, in which the kernel counts. A value that is
 * left out keeps what it is (Linux's defaults are 7200 s, 75 s and 9). There is one exception: in Node.js
 * without FFI, an idle time alone also sets Node's own interval and count, usually 1 s and 10.
 */
export interface KeepAliveOptions {
  /**
   * Idle time in ms before the first probe, 1,000-32,767,000.
   * `TCP_KEEPIDLE`, macOS `TCP_KEEPALIVE`; RFC 9293 section 3.8.4.
   */
  idle?: number;
  /** Time in ms between two probes, 1,000-32,767,000. `TCP_KEEPINTVL`. */
  interval?: number;
  /** Unanswered probes after which the peer counts as dead. 1-127. `TCP_KEEPCNT`. */
  count?: number;
}

/**
 * Options of a TCP socket. An option that is left out does not change. An option that this runtime on this
 * system cannot set is refused with {@linkcode UnsupportedOptionError} before anything changes, and never
 * ignored; {@linkcode capabilities} lists which can be set.
 */
export interface SocketOptions {
  /**
   * Probes an idle connection, so that a dead peer is noticed and no middlebox forgets the connection.
   * `true` and an object switch it on, `false` switches it off. It does not watch data in flight, as
   * `userTimeout` does; `deadPeerTimeout` watches both. `SO_KEEPALIVE`; RFC 9293 section 3.8.4.
   *
   * @default system's (off)
   */
  keepAlive?: boolean | KeepAliveOptions;
  /**
   * Time in ms that sent data may stay unacknowledged, or the peer's window closed, before the kernel
   * gives the connection up. 1,000-2,147,483,647; rounded up to whole ms on Linux and to whole seconds
   * on other systems. `null` is the system's default. It also gives up a live peer that does not read
   * for that long. `TCP_USER_TIMEOUT`, macOS `TCP_RXT_CONNDROPTIME`, FreeBSD `TCP_MAXUNACKTIME`;
   * RFC 5482.
   *
   * @default system's (about 15 minutes on Linux)
   */
  userTimeout?: number | null;
  /**
   * Reports a peer that is gone as {@linkcode DeadPeerError} within this many ms after it was last
   * heard from, plus at most one probe interval (an eighth of it, at least a second). That holds while
   * the connection is idle, has data in flight, or waits before a closed window. A peer that answers
   * is never given up. From 4,000 on, an outage shorter than 3/4 of it does not end the connection
   * (before Linux 6.15 only while idle). While idle, a fraction of a second counts as a whole one. At
   * least 2,000. Linux.
   *
   * It sets keepalive, `TCP_RTO_MAX_MS` (Linux 6.15) and, when the peer is gone, `TCP_USER_TIMEOUT`. So
   * it cannot be given together with `keepAlive` or `userTimeout`, and setting either of them later
   * ends it. On a socket that this library did not open the kernel has to do it alone, for which the
   * least is 15,000, on Linux 6.15 or later.
   */
  deadPeerTimeout?: number;
  /**
   * Sends small segments at once instead of collecting them (Nagle's algorithm off).
   * `TCP_NODELAY`; RFC 9293 section 3.7.4.
   *
   * @default true for `connect` and `listen`, in every runtime
   */
  noDelay?: boolean;
  /**
   * With 0, `close()` discards unsent data and sends RST. With `null`, the kernel goes on sending what it
   * has for as long as that takes. With more, rounded up to whole seconds, at most 32,767,000, closing a
   * socket that this library did not open blocks on Linux, and with it the event loop, until the peer has
   * everything, at most for that long. `close()` of this library's connections does not block, and `end()`
   * waits. `SO_LINGER`.
   *
   * @default null
   */
  linger?: number | null;
  /**
   * Size of the kernel's receive buffer in bytes. Setting it stops the kernel from adapting the size.
   * At least 1. The kernel limits it, and Linux doubles it, which `getOptions` shows. `SO_RCVBUF`.
   */
  receiveBufferSize?: number;
  /** Size of the kernel's send buffer in bytes, otherwise like `receiveBufferSize`. `SO_SNDBUF`. */
  sendBufferSize?: number;
  /**
   * Type of service (IPv4) or traffic class (IPv6), 0-255. The two lowest bits are for congestion
   * notification: the kernel keeps its own. `IP_TOS`, `IPV6_TCLASS`; RFC 2474.
   */
  typeOfService?: number;
  /** Time to live (IPv4) or hop limit (IPv6) of packets sent, 1-255. `IP_TTL`, `IPV6_UNICAST_HOPS`. */
  hopLimit?: number;
  /**
   * A socket counts as writable while the kernel has fewer unsent bytes than this. With a smaller value,
   * data waits less time in the kernel. 0 is the system's default. Linux and macOS. `TCP_NOTSENT_LOWAT`.
   */
  notSentLowWaterMark?: number;
  /**
   * Name of the congestion control algorithm, such as `"cubic"`. {@linkcode SocketError} `ENOENT`
   * when the kernel has none of that name. Linux and FreeBSD. `TCP_CONGESTION`; RFC 5681.
   */
  congestionControl?: string;
}

/** What the kernel reports: {@linkcode SocketOptions}, and options that can only be read. */
export interface KernelOptions extends SocketOptions {
  /** Largest segment the connection sends, in bytes. `TCP_MAXSEG`. */
  readonly maxSegmentSize?: number;
  /** Of a listener: whether it may bind to a port with connections in TIME_WAIT. `SO_REUSEADDR`. */
  readonly reuseAddress?: boolean;
  /** Of a listener: whether other listeners may share its port. `SO_REUSEPORT`. */
  readonly reusePort?: boolean;
  /** Of an IPv6 listener: whether it accepts no IPv4 connections. `IPV6_V6ONLY`. */
  readonly ipv6Only?: boolean;
}

/** Limits of reads and writes, in ms. `null` is no limit. */
export interface Timeouts {
  /** Longest wait of a read. */
  read: number | null;
  /** Longest time of a write, until the kernel has taken all of it. */
  write: number | null;
  /**
   * Longest time without a byte in either direction while calls wait, from the last byte or, if that was
   * later, from the start of the first of these calls. Then all of them reject with a
   * {@linkcode TimeoutError} whose operation is `"idle"`. Bytes of a large write count when the peer
   * acknowledges them (without system calls: when the runtime is rid of up to 256 KiB).
   * @default null
   */
  idle?: number | null;
}

/** Limits of a dialled connection, in ms. `null` is no limit. */
export interface ConnectTimeouts extends Timeouts {
  /** Longest time of the whole `connect`: name resolution, every address tried, the handshake. */
  connect: number | null;
}

/** Limits of a listener and its connections, in ms. `null` is no limit. */
export interface ListenTimeouts extends Timeouts {
  /** Longest wait of an `accept`. */
  accept: number | null;
  /**
   * Longest time of a client's TLS handshake, after which its connection is closed. Only with `tls`, and
   * never `null`.
   * @default the read timeout, or 10,000 when that is `null`
   */
  handshake?: number;
}

/** How long to wait before dialling again, in ms. */
export interface RetryOptions {
  /**
   * Wait before the second attempt.
   * @default 100
   */
  delay?: number;
  /**
   * By how much each wait is longer than the one before, 1 to 100.
   * @default 2
   */
  factor?: number;
  /**
   * Longest wait.
   * @default 5000
   */
  max?: number;
}

/** Options of `connect`. */
export interface ConnectOptions extends SocketOptions {
  /**
   * Name or IP address, IPv6 with or without brackets.
   * @default "127.0.0.1"
   */
  hostname?: string;
  /** Port, 1-65535. */
  port: number;
  /**
   * Limit in ms of connecting and of every later read and write, or an object with a limit for each.
   * `null` is no limit. Required, since the defaults of systems are no limit at all, or minutes.
   */
  timeout: number | null | ConnectTimeouts;
  /**
   * IP address of this machine to connect from. Addresses of the other family are not tried then. With
   * `IP_BIND_ADDRESS_NO_PORT` (Linux 4.2) the kernel picks the port when it knows the peer, so that
   * source ports do not run out. {@linkcode SocketError} `EADDRNOTAVAIL` when no interface has the
   * address.
   * @default the system's choice
   */
  localAddress?: string;
  /**
   * Port to connect from, 1-65535. It can be used again while its last connection is in TIME_WAIT
   * (`SO_REUSEADDR`). {@linkcode SocketError} `EADDRINUSE` when a listener has the port.
   * @default a free one
   */
  localPort?: number;
  /**
   * Name of the network interface to connect through, such as `"eth0"`. Linux. {@linkcode SocketError}
   * `ENODEV` when there is none of that name, `EPERM` when the kernel does not let this process choose.
   * `SO_BINDTODEVICE`.
   */
  interface?: string;
  /**
   * Called with each socket that is made for this call, before it is bound and before its handshake, to
   * set options that this library has no name for: {@linkcode setsockopt} takes the argument. If it
   * throws for every address, `connect` rejects with what it threw. It must not keep
   * the descriptor, nor return a promise.
   */
  prepare?: (socket: { readonly fd: number }) => void;
  /**
   * Dials again, until the connect limit, after an error that may pass: the service may still be
   * starting (`ECONNREFUSED`, `ECONNRESET`), its name may not be known yet (`ENOTFOUND`, `EAI_AGAIN`),
   * or the network may be down (`EHOSTUNREACH`, `ENETUNREACH`, `ENETDOWN`, `EHOSTDOWN`, `ETIMEDOUT`).
   * Other errors reject at once. At the limit, the {@linkcode TimeoutError} has the last error as its
   * `cause`.
   * @default no second attempt
   */
  retry?: RetryOptions;
  /** A point in time, shared with other calls, at which the attempt ends at the latest. */
  deadline?: Deadline;
  /** Ends the attempt with the signal's reason. It has no effect once connected. */
  signal?: AbortSignal;
  /**
   * Uses TLS. The handshake counts towards the connect limit, and socket options are set before it.
   * `true` means the defaults: the peer's certificate must come from an authority that the runtime
   * trusts, and must name `hostname`. RFC 8446.
   */
  tls?: boolean | TlsOptions;
}

/** Options of `listen`. Socket options hold for every accepted connection. */
export type ListenOptions = ListenSettings & ({ port: number } | { fd: number });

/** All options of `listen`. {@linkcode ListenOptions} also requires one of `port` and `fd`. */
export interface ListenSettings extends SocketOptions {
  /**
   * IP address or name to listen on.
   * @default "0.0.0.0"
   */
  hostname?: string;
  /** Port, 0-65535; 0 takes a free one. Required unless `fd` is given. */
  port?: number;
  /**
   * Limit in ms of reads and writes of accepted connections, or an object with limits for `accept` and
   * these two. `null` is no limit. Required.
   */
  timeout: number | null | ListenTimeouts;
  /**
   * Allows binding to a port whose old connections are in TIME_WAIT, so that a server can restart at
   * once. It never allows two live listeners. `SO_REUSEADDR`.
   * @default true
   */
  reuseAddress?: boolean;
  /**
   * Lets several processes listen on one port, if all of them set this. `SO_REUSEPORT`.
   * @default false
   */
  reusePort?: boolean;
  /**
   * Whether a listener on an IPv6 address accepts no IPv4 connections. `IPV6_V6ONLY`; RFC 3493
   * section 5.3.
   * @default system's (usually false)
   */
  ipv6Only?: boolean;
  /**
   * How many connections the kernel completes and keeps before they are accepted, 1-2147483647. The
   * system limits it. `listen(2)`.
   * @default runtime's
   */
  backlog?: number;
  /**
   * How many connections may wait in this process for an `accept`, 1-2147483647. Bun and Node.js accept
   * everything that the kernel has at once, whatever `backlog` is. Connections beyond this number are
   * reset, and counted in `listener.stats.dropped`. In Deno they wait in the kernel's backlog, except with
   * `fd`, `reusePort` and other options that need system calls.
   * @default 4096
   */
  maxPending?: number;
  /** A descriptor that listens already, as from socket activation. It replaces hostname and port. */
  fd?: number;
  /**
   * Uses TLS with every client. `accept` returns connections whose handshake is done. Handshakes run side
   * by side, each under the limit `timeout.handshake`; a client whose handshake fails is closed without
   * an error. RFC 8446.
   */
  tls?: ServerTlsOptions;
}

/** Options of `connect` for a Unix socket. */
export interface UnixConnectOptions
  extends Pick<ConnectOptions, "timeout" | "deadline" | "signal"> {
  /** The socket's file, at most 103 bytes; on Linux an abstract name after `\0`. */
  path: string;
}

/** Options of `listen` for a Unix socket. */
export interface UnixListenOptions extends Pick<ListenOptions, "timeout" | "backlog"> {
  /** The socket's file, at most 103 bytes; on Linux an abstract name after `\0`. */
  path: string;
}
