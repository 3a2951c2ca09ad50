/**
 * Listening through `Deno.listen`, and through `node:net` on a descriptor for what that cannot do.
 *
 * @module
 */

import type { IncomingConnections, ListenerTransport, ListenObstacle } from "../../adapter.ts";
import type { ListenPlan } from "../../kernel/listening.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { closeListening, openListening } from "../../kernel/listening.ts";
import { resolve } from "../../dial/happy_eyeballs.ts";
import { verifyTcp } from "../../kernel/tcp_socket.ts";
import { listenOnDescriptor, open } from "../node/listen.ts";
import { descriptors } from "./descriptor.ts";
import { kernel } from "./kernel.ts";
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

  ref(): void {
    this.native.ref();
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

/** The option of `plan` that `Deno.listen` has no way to express, if any. */
function beyondDeno(plan: ListenPlan): string | undefined {
  if (plan.fd !== undefined) return undefined;
  if (!plan.reuseAddress) return "reuseAddress";
  return plan.ipv6Only === undefined ? undefined : "ipv6Only";
}

/** Why `plan` is out of reach, or `undefined`. */
export function cannotListen(plan: ListenPlan): ListenObstacle | undefined {
  const option = beyondDeno(plan);
  const calls = option === undefined ? undefined : kernel();
  if (calls === undefined || !("reason" in calls)) return undefined;
  return {
    option: option!,
    reason: `Deno.listen has no such option, and ${calls.reason}`,
    remedy: calls.remedy,
  };
}

/** Listens as `plan` says. */
export async function listen(plan: ListenPlan): Promise<ListenerTransport> {
  if (ending.size > 0) await Promise.all(ending);
  const { hostname, port, reusePort, backlog, fd } = plan;
  const calls = fd !== undefined || reusePort || beyondDeno(plan) ? kernel() : undefined;
  if (fd !== undefined) {
    if (calls !== undefined && "listen" in calls) verifyTcp(calls, fd);
    return await adoptDescriptor(fd, backlog);
  }
  if (calls !== undefined && "listen" in calls) {
    const fd = openListening(calls, plan, await resolve(hostname));
    try {
      return await adoptDescriptor(fd, backlog);
    } catch (error) {
      closeListening(calls, fd);
      throw error;
    }
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
  if ("listen" in kernel()) descriptors().remember(transport.native, fd);
  return transport;
}

/** Whether the runtime's own `listen` does it. */
export function listensNatively(plan: ListenPlan): boolean {
  return beyondDeno(plan) === undefined;
}
