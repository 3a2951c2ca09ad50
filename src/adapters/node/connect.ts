/** Dials through `node:net`, one address in each attempt. */

import type { Attempt, Target, Transport } from "../../adapter.ts";
import { race } from "../../dial/happy_eyeballs.ts";
import { withScopeName } from "../../kernel/scope.ts";
import { knownAddress, literalVersion } from "../../kernel/sockaddr.ts";
import { coded } from "../../kernel/system_error.ts";
import { openDialling, type Source } from "../../kernel/handshake.ts";
import { loadKernel } from "./kernel.ts";
import { net, type NodeSocket } from "./net.ts";
import { onread } from "./onread.ts";
import { NodeTransport } from "./transport.ts";

/** Dials every address of the name, as RFC 8305 says. */
export function connect({ hostname, port, before, source }: Target): Attempt {
  const target = { hostname: withScopeName(hostname, "ENETUNREACH"), port };
  const local = source?.localAddress;
  return race(target, (address, family, port) => {
    try {
      // Node has EINVAL for it.
      if (local !== undefined && literalVersion(local) !== family) {
        throw coded("EAFNOSUPPORT", `bind EAFNOSUPPORT ${local}`);
      }
      const how = before === undefined
        ? { source }
        : { fd: openDialling(loadKernel().kernel!, address, before) };
      return new NodeAttempt(address, port, how);
    } catch (cause) {
      return { opened: Promise.reject(cause), abort() {} };
    }
  });
}

/** The wait of a socket for its connection or its TLS handshake, of which `open` then makes the result. */
export class SocketAttempt<Result> implements Attempt<Result> {
  readonly opened: Promise<Result>;
  readonly #socket: NodeSocket;
  #open = false;

  constructor(
    socket: NodeSocket,
    open: () => Result,
    event: "connect" | "secureConnect" = "connect",
  ) {
    this.#socket = socket;
    this.opened = new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.once(event, () => {
        socket.off("error", reject);
        this.#open = true;
        resolve(open());
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

class NodeAttempt extends SocketAttempt<Transport> {
  constructor(host: string, port: number, { fd, source }: { fd?: number; source?: Source }) {
    const { Socket } = net();
    const options = { allowHalfOpen: true, onread: onread() };
    const socket = fd === undefined
      ? new Socket(options)
      // It is not connected yet, so it must not read.
      : new Socket({ ...options, fd, manualStart: true });
    // Paused before the connection is open, the socket does not start to read.
    socket.pause();
    const to = { host, port, autoSelectFamily: false };
    socket.connect(source === undefined ? to : { ...to, ...bound(source) });
    super(socket, () => new NodeTransport(socket, { remote: knownAddress(host, port) }));
  }
}

/** Leaves out what is `undefined`, which Node would take for a value. */
function bound({ localAddress, localPort }: Source): Pick<Source, "localAddress" | "localPort"> {
  return {
    ...localAddress !== undefined && { localAddress },
    ...localPort !== undefined && { localPort },
  };
}
