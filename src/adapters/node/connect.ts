/** Dials through `node:net`, one address in each attempt. */

import type { Attempt, Target, Transport } from "../../adapter.ts";
import { race } from "../../dial/happy_eyeballs.ts";
import { withScopeName } from "../../kernel/scope.ts";
import { knownAddress } from "../../kernel/sockaddr.ts";
import { openDialling, type Source } from "../../kernel/handshake.ts";
import { builtin } from "../../kernel/system.ts";
import { loadKernel } from "./kernel.ts";
import { type NodeSocket, NodeTransport, onread } from "./transport.ts";

interface SocketOptions {
  fd?: number;
  /** Keeps a socket with a descriptor from reading at once, as it is not connected yet. Not documented. */
  manualStart?: boolean;
  allowHalfOpen: boolean;
  onread: ReturnType<typeof onread>;
}

interface ConnectOptions extends Pick<Source, "localAddress" | "localPort"> {
  host: string;
  port: number;
  autoSelectFamily: boolean;
}

interface NodeNet {
  Socket: new (options: SocketOptions) => NodeSocket & {
    connect(options: ConnectOptions): unknown;
  };
}

let net: NodeNet | undefined;

/** Dials every address of the name, as RFC 8305 says. */
export function connect({ hostname, port, before, source }: Target): Attempt {
  const target = { hostname: withScopeName(hostname, "ENETUNREACH"), port };
  if (before === undefined) {
    return race(target, (address, _family, port) => new NodeAttempt(address, port, { source }));
  }
  const calls = loadKernel().kernel!;
  return race(target, (address, _family, port) => {
    try {
      return new NodeAttempt(address, port, { fd: openDialling(calls, address, before) });
    } catch (cause) {
      return { opened: Promise.reject(cause), abort() {} };
    }
  });
}

class NodeAttempt implements Attempt {
  readonly opened: Promise<Transport>;
  readonly #socket: NodeSocket;
  #open = false;

  constructor(host: string, port: number, { fd, source }: { fd?: number; source?: Source }) {
    const { Socket } = net ??= builtin<NodeNet>("node:net")!;
    const options = { allowHalfOpen: true, onread: onread() };
    const socket = this.#socket = fd === undefined
      ? new Socket(options)
      : new Socket({ ...options, fd, manualStart: true });
    // Paused before the connection is open, the socket does not start to read.
    socket.pause();
    const to = { host, port, autoSelectFamily: false };
    socket.connect(source === undefined ? to : { ...to, ...bound(source) });
    this.opened = new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        this.#open = true;
        resolve(new NodeTransport(socket, { remote: knownAddress(host, port) }));
      });
    });
  }

  abort(): void {
    if (!this.#open) this.#socket.destroy();
  }

  fd(): number | undefined {
    return this.#socket._handle?.fd;
  }
}

/** Leaves out what is `undefined`, which Node would take for a value. */
function bound({ localAddress, localPort }: Source): Pick<Source, "localAddress" | "localPort"> {
  return {
    ...localAddress !== undefined && { localAddress },
    ...localPort !== undefined && { localPort },
  };
}
