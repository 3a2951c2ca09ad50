/**
 * Listening through `Deno.listen`, and through `node:net` on a descriptor for what that cannot do.
 *
 * @module
 */

import type {
  IncomingConnections,
  ListenerTransport,
  ListenObstacle,
  ListenPlan,
  NetAddr,
} from "../../adapter.ts";
import { openListening } from "../../os/listening.ts";
import { resolve } from "../../happy_eyeballs.ts";
import { listenOnDescriptor } from "../node/listen.ts";
import { opening } from "./descriptor.ts";
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
  listen(options: {
    hostname: string;
    port: number;
    reusePort: boolean;
    tcpBacklog?: number;
  }): DenoListener;
}

/** A `Deno.Listener` as a listener transport: one accept at a time, and only when asked. */
class DenoListenerTransport implements ListenerTransport {
  readonly native: DenoListener;
  #incoming!: IncomingConnections;
  #accepting = false;
  #closed = false;

  constructor(native: DenoListener) {
    this.native = native;
  }

  get addr(): NetAddr {
    return this.native.addr;
  }

  start(incoming: IncomingConnections): void {
    this.#incoming = incoming;
  }

  pull(): void {
    if (this.#accepting || this.#closed) return;
    this.#accepting = true;
    this.native.accept().then(this.#onAccept, this.#onError);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.native.close();
  }

  ref(): void {
    this.native.ref();
  }

  unref(): void {
    this.native.unref();
  }

  readonly #onAccept = (conn: DenoConn): void => {
    this.#accepting = false;
    if (this.#closed) return conn.close();
    this.#incoming.accepted(new DenoTransport(conn));
  };

  readonly #onError = (cause: unknown): void => {
    this.#accepting = false;
    if (!this.#closed) this.#incoming.failed(cause);
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
  if (plan.fd !== undefined) return await listenOnDescriptor(plan.fd);
  const { hostname, port, reusePort, backlog } = plan;
  const calls = beyondDeno(plan) === undefined ? undefined : kernel();
  if (calls !== undefined && "listen" in calls) {
    const fd = openListening(calls, plan, await resolve(hostname));
    try {
      return await listenOnDescriptor(fd, backlog);
    } catch (error) {
      calls.close(fd);
      throw error;
    }
  }
  const { Deno } = globalThis as unknown as { Deno: DenoListen };
  const tcpBacklog = backlog === undefined ? {} : { tcpBacklog: backlog };
  const open = () => Deno.listen({ hostname, port, reusePort, ...tcpBacklog });
  return new DenoListenerTransport(reusePort ? opening(open) : open());
}

/** Whether the runtime's own `listen` does it. */
export function listensNatively(plan: ListenPlan): boolean {
  return beyondDeno(plan) === undefined;
}
