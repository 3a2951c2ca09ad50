/** The address type that every layer shares. */

/** Address of one end of a TCP connection, or of a listener. Same shape as `Deno.NetAddr`. */
export interface NetAddr {
  /** Always `"tcp"`. */
  readonly transport: "tcp";
  /** IP address literal, without brackets; of an IPv4 peer on an IPv6 socket in IPv4 notation. */
  readonly hostname: string;
  /** Port number, 0-65535. */
  readonly port: number;
}

/** Address of a Unix socket. Same shape as `Deno.UnixAddr`. */
export interface UnixAddr {
  /** Always `"unix"`. */
  readonly transport: "unix";
  /** Path of the socket's file; an abstract one (Linux) begins with `\0`. */
  readonly path: string;
}
