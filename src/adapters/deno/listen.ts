/**
 * Listening through `Deno.listen`, and through `node:net` on a descriptor for what that cannot do.
 *
 * @module
 */

import type { IncomingConnections, ListenerTransport } from "../../adapter.ts";
import type { ListenPlan } from "../../kernel/listening.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { withListening } from "../../kernel/listening.ts";
import { resolve } from "../../dial/happy_eyeballs.ts";
import { verifyTcp } from "../../kernel/tcp_socket.ts";
import { listenOnDescriptor, open } from "../node/listen.ts";
import { descriptors } from "./descriptor.ts";
import { loadKernel } from "./kernel.ts";
import { type DenoConn, DenoTransport } from "./transport.ts";

/** What this file uses of `Deno.Listener`. */
export interface DenoListener {
  readonly addr: NetAddr;
  accept(): Promise<DenoConn>;
  close(): void;
  ref(): void;
  unref(): void;
}

interface DenoListen {
  permissions: { querySync(descriptor: { name: "net"; host: string }): { state: string } };
  listen(options: {
    hostname: string;
    port: number;
    tcpBacklog?: number;
  }): DenoListener;
}

/**
 * Accepts that `close` interrupted. Until they have ended, Deno keeps the port: the next `listen`
 * on it waits for that.
 */
const ending = new Set<Promise<void>>();

/** A `Deno.Listener` as a listener transport: one accept at a time, and only when asked. */
class DenoListenerTransport implements ListenerTransport {
  readonly native: DenoListener;
  readonly addr: NetAddr;
  #incoming!: IncomingConnections;
  #accept: Promise<void> | undefined = undefined;
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

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const accept = this.#accept;
    if (accept !== undefined) {
      ending.add(accept);
      accept.then(() => ending.delete(accept));
      // Whoever waits for it must not see the process end first.
      this.native.ref();
    }
    try {
      this.native.close();
    } catch {
      // Somebody with hold of `native` has closed it already.
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
    // Deno asks whom it has accepted for the address, which fails when that one has reset already.
    // It is gone, the listener is not: https://github.com/denoland/deno/blob/v2.9.6/ext/net/ops.rs.
    if ((cause as { name?: string }).name === "NotConnected") return this.pull();
    this.#incoming.failed(cause);
  };
}

/** The option of `plan` that `Deno.listen` cannot set, if any. */
export function beyondListen(plan: ListenPlan): keyof ListenPlan | undefined {
  if (plan.fd !== undefined) return undefined;
  if (!plan.reuseAddress) return "reuseAddress";
  return plan.ipv6Only === undefined ? undefined : "ipv6Only";
}

/** Listens as `plan` says. */
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
    const address = await resolve(hostname);
    return await withListening(kernel, plan, address, (fd) => adoptDescriptor(fd, backlog));
  }
  // Without --unstable-net, Deno.listen answers `reusePort` by ending the process:
  // https://github.com/denoland/deno/blob/v2.9.6/ext/net/ops.rs. node:net takes it as it is.
  const { Deno } = globalThis as unknown as { Deno: DenoListen };
  if (reusePort) {
    // A missing permission would be an uncaught exception there. Deno.listen asks, or throws it.
    const host = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
    if (Deno.permissions.querySync({ name: "net", host }).state !== "granted") {
      Deno.listen({ hostname, port }).close();
    }
    return await open({ host: hostname, port, reusePort, backlog });
  }
  const tcpBacklog = backlog === undefined ? {} : { tcpBacklog: backlog };
  return new DenoListenerTransport(Deno.listen({ hostname, port, ...tcpBacklog }));
}

/** With `reusePort` several listeners have one address: this one's descriptor is remembered. */
async function adoptDescriptor(fd: number, backlog?: number): Promise<ListenerTransport> {
  const transport = await listenOnDescriptor(fd, backlog);
  if (loadKernel().kernel !== undefined) descriptors().remember(transport.native, fd);
  return transport;
}
