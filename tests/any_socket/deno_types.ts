/// <reference lib="deno.ns" />

/**
 * Has to compile with Deno's own types: our connection is a `Deno.Conn`, and Deno's sockets are sockets.
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
