/**
 * Deno as an adapter.
 *
 * @module
 */

import type { Adapter, Transport } from "../../adapter.ts";
import { adoptSocket } from "../node/transport.ts";
import { connect } from "./connect.ts";
import { handle, natives } from "./handle.ts";
import { kernel } from "./kernel.ts";
import { cannotListen, listen, listensNatively } from "./listen.ts";
import { type DenoConn, DenoTransport } from "./transport.ts";

interface DenoGlobal {
  version: { deno: string };
}

/** `Deno.connect` and `Deno.listen`; for sockets of `node:net`, what Node's adapter does. */
export const denoAdapter: Adapter = {
  runtime: "deno",
  get version() {
    return (globalThis as unknown as { Deno: DenoGlobal }).Deno.version.deno;
  },
  natives,
  kernel,
  connect,
  listen,
  cannotListen,
  listensNatively,
  adopt: (native) => isConn(native) ? new DenoTransport(native) : adoptSocket(native),
  handle,
};

/** A `Deno.TcpConn` or `Deno.TlsConn`, by what only these have. */
function isConn(native: object): native is DenoConn & Transport["native"] {
  const { localAddr, closeWrite, read } = native as Partial<DenoConn>;
  return localAddr?.transport === "tcp" && typeof closeWrite === "function" &&
    typeof read === "function";
}
