/**
 * Listening through `Bun.listen`, and on a descriptor of our own for what that cannot do.
 *
 * @module
 */

import type { IncomingConnections, KnownEnds, ListenerTransport } from "../../adapter.ts";
import type { ListenPlan } from "../../kernel/listening.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { resolve } from "../../dial/happy_eyeballs.ts";
import { withListening } from "../../kernel/listening.ts";
import { withScopeNumber } from "../../kernel/scope.ts";
import { knownAddress } from "../../kernel/sockaddr.ts";
import { verifyTcp } from "../../kernel/tcp_socket.ts";
import { loadKernel } from "./kernel.ts";
import { type BunSocket, handlers, Opener, type Receiver } from "./socket.ts";
import { BunTransport } from "./transport.ts";

/** What this adapter uses of Bun's listener. */
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

/** Bun accepts at once whatever arrives: it has no way to wait until somebody asks. */
class BunListenerTransport extends Opener implements ListenerTransport {
  readonly native: BunListener;
  readonly addr: NetAddr;
  /** Where all connections end, unless that may differ. */
  readonly #known: KnownEnds;
  readonly #fd: number;
  #incoming!: IncomingConnections;
  #closed = false;
  #telling = false;

  constructor(options: { fd: number } | BunListenAddress) {
    super();
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

  /** Who comes is not asked for. When somebody else has stopped `native`, nobody will. */
  pull(): void {
    if (this.native.fd === this.#fd || this.#telling) return;
    this.#telling = true;
    // One at a time, and not here: whoever is told asks for the next connection.
    Promise.resolve().then(this.#onStop);
  }

  readonly #onStop = (): void => {
    this.#telling = false;
    if (this.#closed) return;
    this.#incoming.failed(
      Object.assign(new Error("the listener was stopped"), { code: "ECANCELED" }),
    );
  };

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    // The connections are not the listener's to close.
    this.native.stop(false);
  }

  unref(): void {
    this.native.unref();
  }

  /** A connection has come. */
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

/** Listens as `plan` says. */
export async function listen(plan: ListenPlan): Promise<ListenerTransport> {
  // In any case: after a failed write it is too late to load what reads errno.
  const { kernel } = loadKernel();
  if (plan.fd !== undefined) {
    if (kernel !== undefined) verifyTcp(kernel, plan.fd);
    return new BunListenerTransport({ fd: plan.fd });
  }
  const { port, reusePort, backlog } = plan;
  const hostname = withScopeNumber(await resolve(plan.hostname));
  if (beyondListen(plan) === undefined || kernel === undefined) {
    try {
      return new BunListenerTransport({ hostname, port, reusePort });
    } catch (error) {
      // Of some failures, such as a lack of descriptors, Bun tells no code. The kernel does.
      if (kernel === undefined || (error as { code?: string }).code !== undefined) throw error;
    }
  }
  return await withListening(kernel, plan, hostname, (fd) => {
    const listener = new BunListenerTransport({ fd });
    // Bun has called listen(2) again, with a backlog of its own.
    if (backlog !== undefined) kernel.listen(fd, backlog);
    return listener;
  });
}
