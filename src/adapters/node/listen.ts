/**
 * Listens through `net.createServer`. Deno's adapter uses this too, for descriptors and `reusePort`.
 */

import type { IncomingConnections, ListenerTransport } from "../../adapter.ts";
import type { ListenPlan } from "../../kernel/listening.ts";
import type { NetAddr } from "../../kernel/address.ts";
import { withListening } from "../../kernel/listening.ts";
import { resolve } from "../../dial/happy_eyeballs.ts";
import { withScopeName } from "../../kernel/scope.ts";
import { knownAddress } from "../../kernel/sockaddr.ts";
import { host, systemName } from "../../kernel/system.ts";
import { coded } from "../../kernel/system_error.ts";
import { verifyTcp } from "../../kernel/tcp_socket.ts";
import { notTcp } from "./handle.ts";
import { loadKernel } from "./kernel.ts";
import { net, type NodeListenOptions, type NodeServer, type NodeSocket } from "./net.ts";
import { listenTo, type NodeTransport, remoteAddr } from "./transport.ts";

/** Something to do with every accepted connection first. */
export type Prepare = (transport: NodeTransport) => void;

/**
 * A transport over `net.Server`. Node accepts at once, and the core keeps connections until `accept`.
 * `open` makes the transport of a connection, unless its peer has gone already.
 */
export class NodeListenerTransport implements ListenerTransport {
  readonly native: NodeServer;
  readonly addr: NetAddr;
  readonly #open: (socket: NodeSocket) => NodeTransport | undefined;
  #incoming!: IncomingConnections;
  #closed = false;
  readonly #reportClose: () => void = closeReport(() => this.#closed ? undefined : this.#incoming);

  constructor(
    native: NodeServer,
    addr: NetAddr,
    open: (socket: NodeSocket) => NodeTransport | undefined,
  ) {
    this.native = native;
    this.addr = addr;
    this.#open = open;
  }

  start(incoming: IncomingConnections): void {
    this.#incoming = incoming;
    this.native.on("connection", this.#onConnection);
    this.native.on("error", this.#onError);
    this.native.on("close", this.#reportClose);
  }

  /** Does nothing while the server listens. When the program has closed it, this reports that. */
  pull(): void {
    if (!this.native.listening) this.#reportClose();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.closeServer();
  }

  protected closeServer(): void {
    this.native.close();
  }

  unref(): void {
    this.native.unref();
  }

  readonly #onConnection = (socket: NodeSocket): void => {
    const transport = this.#closed ? undefined : this.#open(socket);
    if (transport === undefined) socket.destroy();
    else this.#incoming.accepted(transport);
  };

  readonly #onError = (cause: unknown): void => {
    if (!this.#closed) this.#incoming.failed(cause);
  };
}

/**
 * Returns a function that reports to `incoming` that the program has closed its listener. It does so
 * later, and once for all calls until then, since the report makes the core call `pull` again for the
 * next waiting `accept`.
 */
export function closeReport(incoming: () => IncomingConnections | undefined): () => void {
  let pending = false;
  return () => {
    if (pending) return;
    pending = true;
    Promise.resolve().then(() => {
      pending = false;
      incoming()?.failed(coded("ECANCELED", "the listener was closed"));
    });
  };
}

/** The option of `plan` that Node's own `listen` cannot set, if any. */
export function beyondListen(
  { fd, reuseAddress, reusePort }: ListenPlan,
): keyof ListenPlan | undefined {
  if (fd !== undefined) return systemName() === "windows" ? "fd" : undefined;
  // libuv sets SO_REUSEADDR on every listener.
  if (!reuseAddress) return "reuseAddress";
  if (reusePort && !hasReusePort()) return "reusePort";
  return undefined;
}

/** Node has it from 22.12 and 23.1 on: https://nodejs.org/api/net.html#serverlistenoptions-callback */
function hasReusePort(): boolean {
  const [major = 0, minor = 0] = host().versions.node!.split(".").map(Number);
  return major >= 24 || major === 23 && minor >= 1 || major === 22 && minor >= 12;
}

/** Listens as `plan` says; through the kernel where Node's own `listen` cannot. */
export async function listen(plan: ListenPlan): Promise<ListenerTransport> {
  const { hostname, port, backlog, ipv6Only, reusePort, fd } = plan;
  if (fd !== undefined) {
    verify(fd, true);
    try {
      return await listenOnDescriptor(fd, backlog);
    } catch (error) {
      // libuv says EINVAL whatever is wrong with a descriptor, so this finds a better error.
      if (!(error instanceof TypeError)) verify(fd);
      throw error;
    }
  }
  const kernel = beyondListen(plan) === undefined ? undefined : loadKernel().kernel;
  if (kernel === undefined) {
    // With `exclusive` the socket belongs to this process also in a worker of node:cluster.
    const host = withScopeName(hostname, "ENODEV");
    return await open({ host, port, backlog, ipv6Only, reusePort, exclusive: true });
  }
  const address = await resolve(hostname);
  return await withListening(kernel, plan, address, (fd) => listenOnDescriptor(fd, backlog));
}

/** Throws if a descriptor is no TCP socket. With `quiet` it loads nothing that prints a warning. */
function verify(fd: number, quiet?: boolean): void {
  const { kernel } = loadKernel(quiet);
  if (kernel !== undefined) verifyTcp(kernel, fd);
}

/** Makes a listener of a descriptor that listens. The listener owns it from now on. */
export function listenOnDescriptor(
  fd: number,
  backlog?: number,
  prepare?: Prepare,
): Promise<ListenerTransport> {
  return open({ fd, backlog }, prepare);
}

/** Opens a server of `node:net` for TCP and makes a listener of it. */
export async function open(
  options: NodeListenOptions,
  prepare?: Prepare,
): Promise<ListenerTransport> {
  if (isDenied()) {
    const denied = new Error("the permission to use the network is missing: needs --allow-net");
    throw Object.assign(denied, { code: "ERR_ACCESS_DENIED" });
  }
  const server = await openServer(options);
  const bound = server.address();
  if (typeof bound !== "object" || bound === null) {
    server.close();
    throw notTcp();
  }
  const { address: hostname, port } = bound;
  // All connections have it, if it is known. An inherited socket may show another one.
  const local = options.fd === undefined ? knownAddress(hostname, port) : undefined;
  return new NodeListenerTransport(server, { transport: "tcp", hostname, port }, (socket) => {
    const remote = remoteAddr(socket);
    if (remote === undefined) return undefined;
    // Accepted sockets do not read into shared memory as dialled ones do. That would take a second socket
    // around the same handle and an undocumented option, for 5 to 10 % more small messages.
    const transport = listenTo(socket, { local, remote });
    prepare?.(transport);
    return transport;
  });
}

/** Opens a server of `node:net`. */
export function openServer(options: NodeListenOptions): Promise<NodeServer> {
  const server = net().createServer({ allowHalfOpen: true, pauseOnConnect: true });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve(server);
    });
    // With a descriptor, Node reads the backlog only from the second argument:
    // https://github.com/nodejs/node/blob/v26.10.0/lib/net.js `Server.prototype.listen`.
    server.listen(options, options.backlog);
  });
}

/**
 * Whether Node's permission model forbids to listen. `listen` would then throw where it cannot be caught
 * (`createServerHandle` in https://github.com/nodejs/node/blob/v26.10.0/lib/net.js). Before Node 25 there
 * was no such permission, and `has` returns false for unknown ones.
 */
function isDenied(): boolean {
  const { permission, allowedNodeEnvironmentFlags } = host();
  return permission?.has("net") === false &&
    allowedNodeEnvironmentFlags?.has("--allow-net") === true;
}
