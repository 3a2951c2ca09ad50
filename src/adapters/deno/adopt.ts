/** Makes a transport of a connection that Deno has opened already. */

import type { Transport } from "../../adapter.ts";
import type { NodeSocket } from "../node/net.ts";
import { adopt as adoptNode } from "../node/adopt.ts";
import type { DenoConn } from "./deno.ts";
import { descriptorOf, isOpen, isTcp } from "./handle.ts";
import { loadKernel } from "./kernel.ts";
import { applyWorkarounds } from "./node_workarounds.ts";
import { DenoTransport } from "./transport.ts";

/** Adopts an open connection of Deno's own API or of its `node:net`. Returns `undefined` for the rest. */
export function adopt(native: object): Transport | undefined {
  if (isConn(native)) {
    if (isOpen(native) === false) return undefined;
    identify(native);
    return new DenoTransport(native);
  }
  const transport = adoptNode(native);
  if (transport === undefined) return undefined;
  stopBelow(native as TlsSocket);
  applyWorkarounds(transport);
  return transport;
}

/**
 * Finds the descriptor as early as possible, as nothing can tell a `Deno.TlsConn` from a later connection
 * between the same addresses.
 */
function identify(conn: DenoConn): void {
  if (conn.setNoDelay !== undefined || loadKernel().kernel === undefined) return;
  try {
    descriptorOf(conn);
  } catch {
    // The error is thrown again when the descriptor is needed.
  }
}

/** Recognizes a `Deno.TcpConn` or `Deno.TlsConn` by members that no other class has. */
function isConn(native: object): native is DenoConn & Transport["native"] {
  const { localAddr, closeWrite, read } = native as Partial<DenoConn>;
  return isTcp(localAddr) && typeof closeWrite === "function" && typeof read === "function";
}

/** The object below a `tls.TLSSocket`, and the TCP socket below that. Not documented. */
interface TlsSocket extends Pick<NodeSocket, "on"> {
  readonly _handle: {
    readonly _parent?: { readStart?(): void; readStop?(): void };
    isEstablished?(): boolean;
  } | null;
}

/**
 * Pauses the TCP socket below a `tls.TLSSocket` together with it, once the handshake is over. Without
 * that, a paused TLSSocket goes on receiving without a limit, and only holds decrypted bytes back
 * (https://github.com/denoland/deno/pull/33524). Can go when the peer of a paused TLSSocket has to wait.
 */
function stopBelow(socket: TlsSocket): void {
  const below = () => socket._handle?._parent;
  if (typeof below()?.readStop !== "function") return;
  const stop = () => {
    if (socket._handle?.isEstablished?.()) below()?.readStop?.();
  };
  socket.on("pause", stop);
  socket.on("resume", () => below()?.readStart?.());
  stop();
}
