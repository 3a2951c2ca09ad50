/**
 * Listening through `net.createServer`; on a descriptor also in Deno.
 *
 * @module
 */

import type { IncomingConnections, ListenerTransport } from "../../adapter.ts";
import type { ListenPlan } from "../../kernel/listening.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { withListening } from "../../kernel/listening.ts";
import { resolve } from "../../dial/happy_eyeballs.ts";
import { withScopeName } from "../../kernel/scope.ts";
import { knownAddress } from "../../kernel/sockaddr.ts";
import { builtin, host, systemName } from "../../kernel/system.ts";
import { verifyTcp } from "../../kernel/tcp_socket.ts";
import { loadKernel } from "./kernel.ts";
import { listenTo, type NodeSocket, remoteAddr } from "./transport.ts";

/** What this file uses of `net.Server`. */
interface NodeServer {
  readonly listening: boolean;
  /** The path of a UNIX socket; `null` when it does not listen. */
  address(): { address: string; port: number } | string | null;
  listen(options: NodeListenOptions, backlog: number | undefined): unknown;
  on(event: string, listener: (...args: never[]) => void): unknown;
  once(event: string, listener: (...args: never[]) => void): unknown;
  off(event: string, listener: (...args: never[]) => void): unknown;
  close(): unknown;
  ref(): unknown;
  unref(): unknown;
}

/** Options of `server.listen`, as far as they are used. */
interface NodeListenOptions {
  readonly host?: string;
  readonly port?: number;
  readonly fd?: number;
  readonly backlog: number | undefined;
  readonly ipv6Only?: boolean | undefined;
  readonly reusePort?: boolean;
  readonly exclusive?: boolean;
}

interface NodeNet {
  createServer(options: { allowHalfOpen: boolean; pauseOnConnect: boolean }): NodeServer;
}

/** Push: Node accepts what comes; who is not asked for yet waits in the core. */
class NodeListenerTransport implements ListenerTransport {
  readonly native: NodeServer;
  readonly addr: NetAddr;
  /** Where all connections end, unless that may differ. */
  readonly #local: NetAddr | undefined;
  #incoming!: IncomingConnections;
  #closed = false;
  #telling = false;

  constructor(native: NodeServer, addr: NetAddr, inherited: boolean) {
    this.native = native;
    this.addr = addr;
    this.#local = inherited ? undefined : knownAddress(addr.hostname, addr.port);
  }

  start(incoming: IncomingConnections): void {
    this.#incoming = incoming;
    this.native.on("connection", this.#onConnection);
    this.native.on("error", this.#onError);
    this.native.on("close", this.#onClose);
  }

  /** Who comes is not asked for. When nobody will, each call is told so: one at a time, and not here. */
  pull(): void {
    if (this.native.listening || this.#telling) return;
    this.#telling = true;
    Promise.resolve().then(this.#onClose);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.native.close();
  }

  unref(): void {
    this.native.unref();
  }

  // A second socket around the handle of the accepted one could read into shared memory as dialled
  // sockets do; that was 5 to 10 % faster for small messages, and needs an undocumented option.
  readonly #onConnection = (socket: NodeSocket): void => {
    const remote = this.#closed ? undefined : remoteAddr(socket);
    if (remote === undefined) socket.destroy();
    else this.#incoming.accepted(listenTo(socket, { local: this.#local, remote }));
  };

  readonly #onError = (cause: unknown): void => {
    if (!this.#closed) this.#incoming.failed(cause);
  };

  /** By somebody with hold of `native`. */
  readonly #onClose = (): void => {
    this.#telling = false;
    this.#onError(Object.assign(new Error("the server was closed"), { code: "ECANCELED" }));
  };
}

/** Listens as `plan` says; through the kernel where Node's own `listen` cannot. */
export async function listen(plan: ListenPlan): Promise<ListenerTransport> {
  const { hostname, port, backlog, ipv6Only, reusePort, fd } = plan;
  if (fd !== undefined) {
    try {
      return await listenOnDescriptor(fd, backlog);
    } catch (error) {
      // Whatever is wrong with a descriptor, libuv says EINVAL.
      const { kernel } = loadKernel();
      if (kernel !== undefined) verifyTcp(kernel, fd);
      throw error;
    }
  }
  const kernel = beyondListen(plan) === undefined ? undefined : loadKernel().kernel;
  if (kernel === undefined) {
    // `exclusive`: in a worker of node:cluster too, the socket is this process's own.
    const host = withScopeName(hostname, "ENODEV");
    return await open({ host, port, backlog, ipv6Only, reusePort, exclusive: true });
  }
  const address = await resolve(hostname);
  return await withListening(kernel, plan, address, (fd) => listenOnDescriptor(fd, backlog));
}

/** A descriptor that listens, as a listener, which owns it from now on. */
export function listenOnDescriptor(fd: number, backlog?: number): Promise<ListenerTransport> {
  return open({ fd, backlog });
}

/** A server of `node:net` that listens, as a listener. */
export function open(options: NodeListenOptions): Promise<ListenerTransport> {
  if (isDenied()) {
    const denied = new Error("the permission to use the network is missing: needs --allow-net");
    return Promise.reject(Object.assign(denied, { code: "ERR_ACCESS_DENIED" }));
  }
  const { createServer } = builtin<NodeNet>("node:net")!;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      const bound = server.address();
      if (typeof bound === "object" && bound !== null) {
        const addr = { transport: "tcp", hostname: bound.address, port: bound.port } as const;
        return resolve(new NodeListenerTransport(server, addr, options.fd !== undefined));
      }
      server.close();
      reject(Object.assign(new Error("no TCP socket"), { code: "EAFNOSUPPORT" }));
    });
    // With a descriptor, Node takes the backlog from the arguments only:
    // https://github.com/nodejs/node/blob/v26.10.0/lib/net.js `Server.prototype.listen`.
    server.listen(options, options.backlog);
  });
}

/**
 * From Node 25 on under `--permission`: `listen` would throw where nobody can catch it,
 * https://github.com/nodejs/node/blob/v26.10.0/lib/net.js `createServerHandle`. Older ones know no
 * such permission, and deny what they do not know.
 */
function isDenied(): boolean {
  const { permission, allowedNodeEnvironmentFlags } = host();
  return permission?.has("net") === false &&
    allowedNodeEnvironmentFlags?.has("--allow-net") === true;
}

/** The option of `plan` that Node's own `listen` cannot set, if any. */
export function beyondListen(
  { fd, reuseAddress, reusePort }: ListenPlan,
): keyof ListenPlan | undefined {
  if (fd !== undefined) return systemName() === "windows" ? "fd" : undefined;
  // libuv always sets SO_REUSEADDR.
  if (!reuseAddress) return "reuseAddress";
  if (reusePort && !hasReusePort()) return "reusePort";
  return undefined;
}

/** From Node 22.12 and 23.1: https://nodejs.org/api/net.html#serverlistenoptions-callback */
function hasReusePort(): boolean {
  const [major = 0, minor = 0] = host().versions.node!.split(".").map(Number);
  return major >= 24 || major === 23 && minor >= 1 || major === 22 && minor >= 12;
}
