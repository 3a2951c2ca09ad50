/// <reference lib="deno.ns" />

/**
 * What `deno check` has to accept: our connection goes where Deno's goes, and Deno's sockets are sockets.
 *
 * @module
 */

import { getOptions, type TcpConnection, type TcpListener } from "@holdfast/tcp";

export const asConn = (connection: TcpConnection): Deno.Conn => connection;

export const asListener = (listener: TcpListener): Pick<Deno.Listener, "addr" | "close"> =>
  listener;

export const options = (
  socket: Deno.TcpConn | Deno.TlsConn | Deno.Listener | Deno.HttpServer,
): unknown => getOptions(socket);
