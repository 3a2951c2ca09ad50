/** Listens through `Deno.listen`, or through `node:net` on a descriptor where that cannot do it. */

import type { IncomingConnections, ListenerTransport } from "../../adapter.ts";
import type { ListenPlan } from "../../kernel/listening.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { withListening } from "../../kernel/listening.ts";
import { resolve } from "../../dial/happy_eyeballs.ts";
import { identityOf } from "../../kernel/identity.ts";
import { verifyTcp } from "../../kernel/tcp_socket.ts";
import { listenOnDescriptor, open } from "../node/listen.ts";
import { askForNet, deno, type DenoConn, type DenoListener } from "./deno.ts";
import { descriptors } from "./descriptor.ts";
import { loadKernel } from "./kernel.ts";
import { applyWorkarounds } from "./node_workarounds.ts";
import { DenoTransport } from "./transport.ts";

/**
 * Pending accepts of closed listeners. Deno keeps the port until they have ended, so the next `listen`
 * waits for them.
 */
const ending = new Set<Promise<void>>();

/** A transport over `Deno.Listener`. It accepts one connection for each `pull`. */
class DenoListenerTransport implements ListenerTransport {
  readonly native: DenoListener;
  readonly addr: NetAddr;
  #incoming!: IncomingConnections;
  #accept: Promise<void> | undefined = undefined;
  #holding = false;
  #closed = false;

  constructor(native: DenoListener) {
    this.native = native;
    this.addr = { ...native.addr };
  }

  start(incoming: IncomingConnections): void {
    this.#incoming = incoming;
  }

  pull(): void {
    if (this.#accept !== undefined || this.#closed) return;
    this.#accept = this.native.accept().then(this.#onAccept, this.#onError);
  }

  /** Each accept of a listener that is unref'd takes an operation more. */
  hold(on: boolean): void {
    if (on === this.#holding || this.#closed) return;
    this.#holding = on;
    if (on) this.native.ref();
    else this.native.unref();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const accept = this.#accept;
    if (accept !== undefined) {
      ending.add(accept);
      accept.then(() => ending.delete(accept));
      // A `listen` that waits for the accept must keep the process alive.
      this.native.ref();
    }
    try {
      this.native.close();
    } catch {
      // The program has closed `native` already.
    }
  }

  unref(): void {
    this.native.unref();
  }

  readonly #onAccept = (conn: DenoConn): void => {
    this.#accept = undefined;
    if (this.#closed) return conn.close();
    this.#incoming.accepted(new DenoTransport(conn, true));
  };

  readonly #onError = (cause: unknown): void => {
    this.#accept = undefined;
    if (this.#closed) return;
    // Deno reads the address of an accepted peer, which fails when the peer has reset already. Only
    // that connection is gone: https://github.com/denoland/deno/blob/v2.9.6/ext/net/ops.rs.
    if ((cause as { name?: string }).name === "NotConnected") return this.pull();
    this.#incoming.failed(cause);
  };
}

/** The option of `plan` that `Deno.listen` cannot set, if any. */
export function beyondListen(plan: ListenPlan): keyof ListenPlan | undefined {
  if (plan.fd !== undefined) return plan.backlog === undefined ? undefined : "backlog";
  if (!plan.reuseAddress) return "reuseAddress";
  return plan.ipv6Only === undefined ? undefined : "ipv6Only";
}

export async function listen(plan: ListenPlan): Promise<ListenerTransport> {
  if (ending.size > 0) await Promise.all(ending);
  const { hostname, port, reusePort, backlog, fd } = plan;
  const kernel = fd !== undefined || reusePort || beyondListen(plan) !== undefined
    ? loadKernel().kernel
    : undefined;
  if (fd !== undefined) {
    if (kernel !== undefined) verifyTcp(kernel, fd);
    return await adoptDescriptor(fd, backlog);
  }
  if (kernel !== undefined) {
    askForNet(plan);
    const address = await resolve(hostname);
    return await withListening(kernel, plan, address, (fd) => adoptDescriptor(fd, backlog));
  }
  // Without --unstable-net, Deno.listen ends the process when it is given `reusePort`:
  // https://github.com/denoland/deno/blob/v2.9.6/ext/net/ops.rs. node:net accepts it.
  if (reusePort) {
    // In node:net a missing permission would be an uncaught exception.
    askForNet(plan);
    return await open({ host: hostname, port, reusePort, backlog }, applyWorkarounds);
  }
  const tcpBacklog = backlog === undefined ? {} : { tcpBacklog: backlog };
  // The socket is made within the call, and gets the lowest free descriptor.
  const { kernel: calls } = loadKernel();
  const next = calls?.lowestFree() ?? -1;
  const native = deno().listen({ hostname, port, ...tcpBacklog });
  const identity = calls && identityOf(calls, next);
  if (identity !== undefined) descriptors().guess(native, next, identity);
  return new DenoListenerTransport(native);
}

/**
 * Listens on a descriptor and remembers it, since with `reusePort` several listeners have one address, so
 * that a search could not tell which one is meant. Deno leaves the backlog as it is.
 */
async function adoptDescriptor(fd: number, backlog?: number): Promise<ListenerTransport> {
  const transport = await listenOnDescriptor(fd, backlog, applyWorkarounds);
  const { kernel } = loadKernel();
  if (kernel !== undefined) descriptors().remember(transport.native, fd);
  if (backlog !== undefined) kernel?.listen(fd, backlog);
  return transport;
}
