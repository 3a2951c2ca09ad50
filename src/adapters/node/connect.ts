/**
 * Dialling through `net.connect`, one address an attempt.
 *
 * @module
 */

import type { Attempt, Target, Transport } from "../../adapter.ts";
import { race } from "../../dial/happy_eyeballs.ts";
import { withScopeName } from "../../kernel/scope.ts";
import { certain } from "../../kernel/sockaddr.ts";
import { builtin } from "../../kernel/system.ts";
import { type NodeSocket, NodeTransport, onRead } from "./transport.ts";

interface NodeNet {
  connect(options: {
    host: string;
    port: number;
    allowHalfOpen: boolean;
    autoSelectFamily: boolean;
    onread: { buffer: Uint8Array; callback: typeof onRead };
  }): NodeSocket;
}

/** What all dialled sockets are read into; the reader takes its bytes before the next read. */
let buffer: Uint8Array | undefined;

/** Dials every address of the name, as RFC 8305 says. */
export function connect({ hostname, port }: Target): Attempt {
  const target = { hostname: withScopeName(hostname, "ENETUNREACH"), port };
  return race(target, (address, _family, port) => new NodeAttempt(address, port));
}

class NodeAttempt implements Attempt {
  readonly opened: Promise<Transport>;
  readonly #socket: NodeSocket;
  #open = false;

  constructor(host: string, port: number) {
    const socket = this.#socket = builtin<NodeNet>("node:net")!.connect({
      host,
      port,
      allowHalfOpen: true,
      autoSelectFamily: false,
      onread: { buffer: buffer ??= new Uint8Array(65_536), callback: onRead },
    });
    // Nobody reads yet. Before the connection is open this keeps it from reading at all.
    socket.pause();
    this.opened = new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        this.#open = true;
        resolve(new NodeTransport(socket, { remote: certain(host, port) }));
      });
    });
  }

  abort(): void {
    if (!this.#open) this.#socket.destroy();
  }
}
