/**
 * The address type that every layer shares.
 *
 * @module
 */

/**
 * Address of one end of a TCP connection, or of a listener. Same shape as `Deno.NetAddr`.
 *
 * @example Where a listener listens
 * ```ts
 * import { listen, type NetAddr } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * const addr: NetAddr = listener.addr;
 * console.log(addr.hostname); // 127.0.0.1
 * ```
 */
export interface NetAddr {
  /** Always `"tcp"`. */
  readonly transport: "tcp";
  /** IP address literal, without brackets; of an IPv4 peer on an IPv6 socket in IPv4 notation. */
  readonly hostname: string;
  /** Port number, 0-65535. */
  readonly port: number;
}

/**
 * Address of a Unix socket. Same shape as `Deno.UnixAddr`.
 *
 * @example Where a listener listens
 * ```ts
 * import type { UnixAddr } from "@holdfast/tcp";
 *
 * const addr: UnixAddr = { transport: "unix", path: "/run/app.sock" };
 * console.log(addr.path); // /run/app.sock
 * ```
 */
export interface UnixAddr {
  /** Always `"unix"`. */
  readonly transport: "unix";
  /** Path of the socket's file; an abstract one (Linux) begins with `\0`. */
  readonly path: string;
}
