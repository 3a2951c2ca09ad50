/**
 * Listens through `Bun.listen`, on a descriptor of our own where that cannot do what the plan says.
 */

import type { IncomingConnections, KnownEnds, ListenerTransport } from "../../adapter.ts";
import type { ListenPlan } from "../../kernel/listening.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { resolve } from "../../dial/happy_eyeballs.ts";
import { withListening } from "../../kernel/listening.ts";
import { withScopeNumber } from "../../kernel/scope.ts";
import { knownAddress } from "../../kernel/sockaddr.ts";
import { verifyTcp } from "../../kernel/tcp_socket.ts";
import { closeReport } from "../node/listen.ts";
import { loadKernel } from "./kernel.ts";
import { type BunSocket, handlers, type Receiver } from "./socket.ts";
import { BunTransport } from "./transport.ts";

/** The part of Bun's listener that is used. */
export interface BunListener {
  /** -1 when closed. */
  readonly fd: number;
  getsockname(into: object): void;
  stop(closeConnections: boolean): void;
  unref(): void;
}

interface BunListenAddress {
  hostname: string;
  port: number;
  reusePort: boolean;
}

interface BunListen {
  listen(
    options: ({ fd: number } | BunListenAddress) & {
      allowHalfOpen: boolean;
      data: Receiver;
      socket: typeof handlers;
    },
  ): BunListener;
}

/** A listener of Bun's. Bun accepts each connection at once, and cannot wait until `pull` is called. */
class BunListenerTransport implements ListenerTransport, Receiver {
  readonly native: BunListener;
  readonly addr: NetAddr;
  /** The local address of all connections, if they have the same. */
  readonly #known: KnownEnds;
  readonly #fd: number;
  #incoming!: IncomingConnections;
  #closed = false;
  readonly #reportClose: () => void = closeReport(() => this.#closed ? undefined : this.#incoming);

  constructor(options: { fd: number } | BunListenAddress) {
    const { Bun } = globalThis as unknown as { Bun: BunListen };
    this.native = Bun.listen({ ...options, allowHalfOpen: true, data: this, socket: handlers });
    this.#fd = this.native.fd;
    this.addr = addressOf(this.native);
    const { hostname, port } = this.addr;
    this.#known = "fd" in options ? {} : { local: knownAddress(hostname, port) };
  }

  start(incoming: IncomingConnections): void {
    this.#incoming = incoming;
  }

  /** Does nothing while Bun listens. When the program has stopped `native`, this reports that. */
  pull(): void {
    if (this.native.fd !== this.#fd) this.#reportClose();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // Connections stay open when their listener is closed.
    this.native.stop(false);
  }

  unref(): void {
    this.native.unref();
  }

  /** Called for each connection that Bun has accepted. */
  open(socket: BunSocket): void {
    const transport = new BunTransport(socket);
    if (transport.locate(this.#known)) this.#incoming.accepted(transport);
    else transport.reset();
  }
}

function addressOf(listener: BunListener): NetAddr {
  const name = { address: "", port: 0 };
  listener.getsockname(name);
  return { transport: "tcp", hostname: name.address, port: name.port };
}

/** The option of `plan` that `Bun.listen` cannot set, if any. */
export function beyondListen(plan: ListenPlan): keyof ListenPlan | undefined {
  if (plan.backlog !== undefined) return "backlog";
  if (plan.fd !== undefined) return undefined;
  if (!plan.reuseAddress) return "reuseAddress";
  return plan.ipv6Only === undefined ? undefined : "ipv6Only";
}

export async function listen(plan: ListenPlan): Promise<ListenerTransport> {
  // Loaded in any case, since errno must be read right after a failed write.
  const { kernel } = loadKernel();
  const { port, reusePort, backlog, fd } = plan;
  const adoptDescriptor = (fd: number) => {
    const listener = new BunListenerTransport({ fd });
    // Bun calls listen(2) again, with a backlog of its own, so ours is set again.
    if (backlog !== undefined) kernel?.listen(fd, backlog);
    return listener;
  };
  if (fd !== undefined) {
    if (kernel !== undefined) verifyTcp(kernel, fd);
    return adoptDescriptor(fd);
  }
  const hostname = withScopeNumber(await resolve(plan.hostname));
  if (beyondListen(plan) === undefined || kernel === undefined) {
    try {
      return new BunListenerTransport({ hostname, port, reusePort });
    } catch (error) {
      // For some failures, such as a lack of descriptors, Bun's error has no code. The kernel's has.
      if (kernel === undefined || (error as { code?: string }).code !== undefined) throw error;
    }
  }
  return await withListening(kernel, plan, hostname, adoptDescriptor);
}
