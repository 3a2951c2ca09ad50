/**
 * The options that callers give. Every time is in milliseconds.
 *
 * @module
 */

import type { ServerTlsOptions, TlsOptions } from "../tls/options.ts";
import type { Deadline } from "../time/deadline.ts";

/**
 * Values of keepalive. Times are rounded up to the next second, in which the kernel counts; what is
 * left out keeps the value it has (system's default: 7200 s, 75 s, 9 on Linux). Only in Node.js without
 * FFI an idle time alone brings Node's own interval and count, usually 1 s and 10.
 *
 * @example A probe after a minute, given up after 90 seconds
 * ```ts
 * import type { KeepAliveOptions } from "@holdfast/tcp";
 *
 * const values: KeepAliveOptions = { idle: 60_000, interval: 10_000, count: 3 };
 * console.log(values.idle! + values.interval! * values.count!); // 90000
 * ```
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
 * Options of a TCP socket. One that is left out is left alone. One that this runtime on this system
 * cannot set is an {@linkcode UnsupportedOptionError} before anything changes, never a silent no-op;
 * {@linkcode capabilities} says which.
 *
 * @example Options for many sockets
 * ```ts
 * import { connect, listen, type SocketOptions } from "@holdfast/tcp";
 *
 * const options: SocketOptions = { keepAlive: true, noDelay: true };
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({ port: listener.addr.port, timeout: 1_000, ...options });
 * console.log(socket.remoteAddr.port === listener.addr.port); // true
 * ```
 */
export interface SocketOptions {
  /**
   * Probes an idle connection, so that a dead peer is noticed and no middlebox forgets it. `true`
   * and an object switch it on, `false` off. It does not watch data in flight: that is
   * `userTimeout`, and `deadPeerTimeout` watches both. `SO_KEEPALIVE`; RFC 9293 section 3.8.4.
   *
   * @default system's (off)
   */
  keepAlive?: boolean | KeepAliveOptions;
  /**
   * Time in ms that sent data may stay unacknowledged, or a closed window closed, before the kernel
   * gives the connection up. 1,000-2,147,483,647; rounded up to whole ms on Linux and
   * whole seconds elsewhere. `null` is the system's default. It also ends a live peer that does not
   * read for that long. `TCP_USER_TIMEOUT`, macOS `TCP_RXT_CONNDROPTIME`, FreeBSD
   * `TCP_MAXUNACKTIME`; RFC 5482.
   *
   * @default system's (about 15 minutes on Linux)
   */
  userTimeout?: number | null;
  /**
   * Reports a peer that is gone as {@linkcode DeadPeerError} within this many ms after it was last
   * heard from, plus at most one probe interval (an eighth, at least a second), whether the
   * connection is idle, has data in flight or sits before a closed window; and never gives up a peer
   * that answers, nor ends with an outage shorter than 3/4 of it (from 4,000 on; before Linux 6.15
   * while idle). At least 2,000. Linux. Sets keepalive, `TCP_RTO_MAX_MS` (Linux 6.15) and, when the
   * peer is gone, `TCP_USER_TIMEOUT`; so it is not to be given beside `keepAlive` or `userTimeout`,
   * and either of them set later ends it. On a socket that is not ours the kernel does it alone:
   * at least 15,000, Linux 6.15 or later.
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
   * 0 discards unsent data and sends RST at `close()`; `null` is off: the kernel sends what it has for as
   * long as it takes. More is refused, since Linux then blocks `close()`, and with it the event loop,
   * also of a non-blocking socket; `end()` of a connection waits without that. `SO_LINGER`.
   *
   * @default null
   */
  linger?: number | null;
  /**
   * Size of the kernel's receive buffer in bytes; setting it switches the kernel's own tuning off.
   * At least 1; the kernel clamps it, and Linux doubles it, which `getOptions` shows. `SO_RCVBUF`.
   */
  receiveBufferSize?: number;
  /** Size of the kernel's send buffer in bytes; as `receiveBufferSize`. `SO_SNDBUF`. */
  sendBufferSize?: number;
  /**
   * Type of service (IPv4) or traffic class (IPv6), 0-255. The two lowest bits belong to congestion
   * notification; the kernel keeps its own there. `IP_TOS`, `IPV6_TCLASS`; RFC 2474.
   */
  typeOfService?: number;
  /** Time to live (IPv4) or hop limit (IPv6) of packets sent, 1-255. `IP_TTL`, `IPV6_UNICAST_HOPS`. */
  hopLimit?: number;
  /**
   * Bytes not yet sent below which a socket counts as writable: smaller means less waiting in the
   * kernel. 0 is the system's default. Linux and macOS. `TCP_NOTSENT_LOWAT`.
   */
  notSentLowWaterMark?: number;
  /**
   * Name of the congestion control algorithm, such as `"cubic"`. {@linkcode SocketError} `ENOENT`
   * when the kernel has none of that name. Linux and FreeBSD. `TCP_CONGESTION`; RFC 5681.
   */
  congestionControl?: string;
}

/**
 * What the kernel reports: {@linkcode SocketOptions}, and what can only be read.
 *
 * @example Read what cannot be set
 * ```ts
 * import { connect, getOptions, type KernelOptions, listen } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({ port: listener.addr.port, timeout: 1_000 });
 * const options: KernelOptions = getOptions(socket);
 * console.log(options.maxSegmentSize! > 0); // true
 * ```
 */
export interface KernelOptions extends SocketOptions {
  /** Largest segment the connection sends, in bytes. `TCP_MAXSEG`. */
  readonly maxSegmentSize?: number;
  /** Of a listener: whether it takes ports in TIME_WAIT. `SO_REUSEADDR`. */
  readonly reuseAddress?: boolean;
  /** Of a listener: whether others may share its port. `SO_REUSEPORT`. */
  readonly reusePort?: boolean;
  /** Of an IPv6 listener: whether it leaves IPv4 alone. `IPV6_V6ONLY`. */
  readonly ipv6Only?: boolean;
}

/**
 * Limits of reads and writes, in ms; `null` is none.
 *
 * @example Change the limits of an open connection
 * ```ts
 * import { connect, listen, type Timeouts } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({ port: listener.addr.port, timeout: 1_000 });
 * const timeouts: Timeouts = { read: null, write: 5_000 };
 * socket.setTimeouts(timeouts);
 * console.log(socket.timeouts.write); // 5000
 * ```
 */
export interface Timeouts {
  /** Longest wait of a read. */
  read: number | null;
  /** Longest time of a write, until the kernel has taken all of it. */
  write: number | null;
}

/**
 * Limits of a dialled connection, in ms; `null` is none.
 *
 * @example Each limit by name
 * ```ts
 * import { connect, type ConnectTimeouts, listen } from "@holdfast/tcp";
 *
 * const timeout: ConnectTimeouts = { connect: 5_000, read: 30_000, write: 10_000 };
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({ port: listener.addr.port, timeout });
 * console.log(socket.timeouts.read); // 30000
 * ```
 */
export interface ConnectTimeouts extends Timeouts {
  /** Longest time of the whole `connect`: name resolution, every address tried, the handshake. */
  connect: number | null;
}

/**
 * Limits of a listener and its connections, in ms; `null` is none.
 *
 * @example Wait at most a minute for a client
 * ```ts
 * import { listen, type ListenTimeouts } from "@holdfast/tcp";
 *
 * const timeout: ListenTimeouts = { accept: 60_000, read: 30_000, write: 10_000 };
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout });
 * console.log(listener.timeouts.accept); // 60000
 * ```
 */
export interface ListenTimeouts extends Timeouts {
  /** Longest wait of an `accept`. */
  accept: number | null;
  /**
   * Longest time of a client's TLS handshake, after which it is closed. With `tls` only; never none.
   * @default the read timeout, or 10,000 when that is `null`
   */
  handshake?: number;
}

/**
 * How long to wait before dialling again, in ms.
 *
 * @example Wait for a service that is still starting
 * ```ts
 * import { connect, listen, type RetryOptions } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * const retry: RetryOptions = { delay: 50, max: 1_000 };
 * using socket = await connect({ port: listener.addr.port, timeout: 10_000, retry });
 * console.log(socket.remoteAddr.port === listener.addr.port); // true
 * ```
 */
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

/**
 * Options of `connect`.
 *
 * @example Kept apart from the call
 * ```ts
 * import { connect, type ConnectOptions, listen } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * const options: ConnectOptions = { port: listener.addr.port, timeout: 1_000, keepAlive: true };
 * using socket = await connect(options);
 * console.log(socket.timeouts.read); // 1000
 * ```
 */
export interface ConnectOptions extends SocketOptions {
  /**
   * Name or IP address, IPv6 with or without brackets.
   * @default "127.0.0.1"
   */
  hostname?: string;
  /** Port, 1-65535. */
  port: number;
  /**
   * Limit in ms of connecting, and of every later read and write; or the three by name. `null` is
   * no limit. Required: a system's default is none, or minutes.
   */
  timeout: number | null | ConnectTimeouts;
  /**
   * IP address of this machine to connect from; addresses of the other family are not tried then.
   * Where the kernel has `IP_BIND_ADDRESS_NO_PORT` (Linux 4.2), it takes the port when it knows the
   * peer, so that source ports do not run out. {@linkcode SocketError} `EADDRNOTAVAIL` when no
   * interface has it.
   * @default the system's choice
   */
  localAddress?: string;
  /**
   * Port to connect from, 1-65535. It is taken also while its last connection is in TIME_WAIT
   * (`SO_REUSEADDR`). {@linkcode SocketError} `EADDRINUSE` when somebody listens there.
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
   * Called with each socket that is made for this call, before it is bound and before its handshake,
   * for options that this library has no name for: {@linkcode setsockopt} takes the argument. What it
   * throws rejects `connect`, once no other address is left. It must not keep the descriptor.
   */
  prepare?: (socket: { readonly fd: number }) => void;
  /**
   * Dials again, until the connect limit, after an error that another attempt can cure: the service
   * that is still starting (`ECONNREFUSED`, `ECONNRESET`), its name (`ENOTFOUND`, `EAI_AGAIN`) or the
   * way there (`EHOSTUNREACH`, `ENETUNREACH`, `ENETDOWN`, `EHOSTDOWN`, `ETIMEDOUT`). Other errors end
   * it at once. When the limit ends it, the last error is the `cause` of the {@linkcode TimeoutError}.
   * @default no second attempt
   */
  retry?: RetryOptions;
  /** A point in time, shared with other calls, after which the attempt ends too. */
  deadline?: Deadline;
  /** Ends the attempt with its reason. It has no effect once connected. */
  signal?: AbortSignal;
  /**
   * Agrees on TLS within the limit of connecting, with socket options already set. `true` is all
   * defaults: the peer's certificate comes from an authority that the runtime trusts, and names
   * `hostname`. RFC 8446.
   */
  tls?: boolean | TlsOptions;
}

/**
 * Options of `listen`. Socket options hold for every accepted connection.
 *
 * @example Kept apart from the call
 * ```ts
 * import { listen, type ListenOptions } from "@holdfast/tcp";
 *
 * const options: ListenOptions = { hostname: "127.0.0.1", port: 0, timeout: 30_000 };
 * using listener = await listen(options);
 * console.log(listener.addr.port > 0); // true
 * ```
 */
export type ListenOptions = ListenSettings & ({ port: number } | { fd: number });

/**
 * What {@linkcode ListenOptions} are made of: one of `port` and `fd` is required.
 *
 * @example Settings that servers share
 * ```ts
 * import { listen, type ListenSettings } from "@holdfast/tcp";
 *
 * const settings: ListenSettings = { timeout: 30_000, backlog: 64 };
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, ...settings });
 * console.log(listener.timeouts.read); // 30000
 * ```
 */
export interface ListenSettings extends SocketOptions {
  /**
   * IP address or name to listen on.
   * @default "0.0.0.0"
   */
  hostname?: string;
  /** Port, 0-65535; 0 takes a free one. Required unless `fd` is given. */
  port?: number;
  /**
   * Limit in ms of reads and writes of accepted connections, or `accept` and these two by name.
   * `null` is no limit. Required.
   */
  timeout: number | null | ListenTimeouts;
  /**
   * Binds to a port whose old connections are in TIME_WAIT, so that a server can restart at once.
   * Never allows two live listeners. `SO_REUSEADDR`.
   * @default true
   */
  reuseAddress?: boolean;
  /**
   * Lets several processes listen on one port; all of them have to ask for it. `SO_REUSEPORT`.
   * @default false
   */
  reusePort?: boolean;
  /**
   * Whether a listener on an IPv6 address leaves IPv4 alone. `IPV6_V6ONLY`; RFC 3493 section 5.3.
   * @default system's (usually false)
   */
  ipv6Only?: boolean;
  /**
   * Connections that the kernel completes and keeps before they are accepted, 1-2147483647; clamped
   * by the system. `listen(2)`.
   * @default runtime's
   */
  backlog?: number;
  /**
   * Connections that wait in this process for somebody to accept them, 1-2147483647. Bun and Node.js
   * accept at once what the kernel has, whatever `backlog` says; beyond this many the newest are reset,
   * and counted in `listener.stats.dropped`. Deno leaves them to the kernel, and its backlog.
   * @default 4096
   */
  maxPending?: number;
  /** A descriptor that listens already, such as one from socket activation. Instead of an address. */
  fd?: number;
  /**
   * Agrees on TLS with every client before `accept` gives it to anyone. Handshakes run side by side,
   * each under `timeout.handshake`; a client that fails is closed and nobody is told. RFC 8446.
   */
  tls?: ServerTlsOptions;
}
