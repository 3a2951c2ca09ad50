/** Makes a transport of a socket that Bun has opened already. */

import type { Transport } from "../../adapter.ts";
import type { Kernel } from "../../kernel/kernel.ts";
import { succeed } from "../../kernel/system_error.ts";
import { adopt as adoptNode } from "../node/adopt.ts";
import { loadKernel } from "./kernel.ts";
import { type BunSocket, handlers, isBunSocket, takeOver } from "./socket.ts";
import { BunTransport } from "./transport.ts";

/** Adopts an open socket of Bun's own API or of its `node:net`. Returns `undefined` for anything else. */
export function adopt(native: object): Transport | undefined {
  if (!isBunSocket(native)) return adoptNode(native);
  const { fd, remotePort } = native;
  if (fd < 0 || remotePort === undefined) return undefined;
  const plain = native.getTLSVersion() === null;
  const movable = plain && loadKernel().kernel !== undefined || native.listener !== undefined;
  const transport = movable ? duplicate(native) : reload(native);
  transport.collect().locate();
  // Bun does not show whether the socket is paused. From here on it is, until `pull` is called.
  transport.pause();
  return transport;
}

function reload(native: BunSocket): BunTransport {
  native.reload({ socket: handlers });
  return new BunTransport(native);
}

/**
 * Bun closes a socket when the peer finishes, with what waits to be sent, unless its owner asked for
 * `allowHalfOpen`; it reports the peer's FIN once, so new handlers would wait for it in vain; and all sockets
 * of a listener share one set of handlers. Therefore the descriptor is duplicated, the duplicate gets our
 * handlers, and Bun's socket is closed, which calls its `close` handler.
 */
function duplicate(native: BunSocket): BunTransport {
  const { kernel, obstacle } = loadKernel();
  if (native.getTLSVersion() !== null) {
    throw new TypeError(
      "Cannot wrap as 'native' must not be a TLS socket accepted by Bun.listen: " +
        "Bun gives no way to take over a single one",
    );
  }
  if (kernel === undefined) {
    throw new TypeError(
      `Cannot wrap as 'native' must not be accepted by Bun.listen here: ${obstacle.reason}`,
    );
  }
  const second = secondOf(kernel, native.fd);
  native.end();
  return second;
}

/** Makes a transport of a duplicate of the descriptor. */
export function secondOf(kernel: Kernel, fd: number): BunTransport {
  let second: BunTransport | undefined;
  const open = (socket: BunSocket) => void (second = new BunTransport(socket));
  takeOver(succeed(kernel.dup(fd), "dup"), { open }).catch(() => {});
  return second!;
}
