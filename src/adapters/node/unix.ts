/**
 * Unix sockets through `node:net`, in all three runtimes.
 *
 * @module
 */

import type { Attempt, IncomingConnections, ListenerTransport, Transport } from "../../adapter.ts";
import type { NetAddr, UnixAddr } from "../../kernel/address.ts";
import { builtin, host } from "../../kernel/system.ts";
import { listenTo, type NodeSocket } from "./transport.ts";

interface NodeServer {
  readonly listening: boolean;
  listen(options: { path: string; backlog: number | undefined; exclusive: boolean }): unknown;
  on(event: string, listener: (...args: never[]) => void): unknown;
  once(event: string, listener: (...args: never[]) => void): unknown;
  off(event: string, listener: (...args: never[]) => void): unknown;
  close(): unknown;
  ref(): unknown;
  unref(): unknown;
}

interface NodeNet {
  connect(options: { path: string; allowHalfOpen: boolean }): NodeSocket;
  createServer(options: { allowHalfOpen: boolean; pauseOnConnect: boolean }): NodeServer;
}

interface Stats {
  readonly ino: number;
  isSocket(): boolean;
}

interface NodeFs {
  lstatSync(path: string, options: { throwIfNoEntry: false }): Stats | undefined;
  unlinkSync(path: string): void;
}

/** Everything above takes addresses as they come, and looks into those of TCP only. */
function address(path: string): NetAddr {
  return { transport: "unix", path } satisfies UnixAddr as unknown as NetAddr;
}

/** Dials a Unix socket. */
export function connectUnix(path: string): Attempt {
  const socket = builtin<NodeNet>("node:net")!.connect({ path, allowHalfOpen: true });
  socket.pause();
  let open = false;
  return {
    waitsFor: "the listener does not accept",
    opened: new Promise<Transport>((resolve, reject) => {
      socket.on("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        open = true;
        resolve(listenTo(socket, { local: address(""), remote: address(path) }));
      });
    }),
    abort: () => void (open || socket.destroy()),
  };
}

/**
 * Listens on a Unix socket. The file of one that nobody listens on any more is replaced.
 *
 * @throws The runtime's own error; EADDRINUSE for a live one, and for a file that is no socket.
 */
export async function listenUnix(
  path: string,
  backlog: number | undefined,
): Promise<ListenerTransport> {
  try {
    return await open(path, backlog);
  } catch (error) {
    if ((error as { code?: string }).code !== "EADDRINUSE" || !(await isStale(path))) throw error;
    builtin<NodeFs>("node:fs")!.unlinkSync(path);
    return await open(path, backlog);
  }
}

/** Whether `path` is the file of a socket on which nobody listens. */
async function isStale(path: string): Promise<boolean> {
  if (isAbstract(path) || !fileOf(path)?.isSocket()) return false;
  const attempt = connectUnix(path);
  try {
    (await attempt.opened).close();
    return false;
  } catch (error) {
    attempt.abort();
    return (error as { code?: string }).code === "ECONNREFUSED";
  }
}

function isAbstract(path: string): boolean {
  return path.startsWith("\0");
}

function fileOf(path: string): Stats | undefined {
  return builtin<NodeFs>("node:fs")!.lstatSync(path, { throwIfNoEntry: false });
}

function open(path: string, backlog: number | undefined): Promise<ListenerTransport> {
  const { createServer } = builtin<NodeNet>("node:net")!;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  return new Promise((resolve, reject) => {
    // Bun replaces the file of whoever listens there.
    if (host().versions.bun !== undefined && !isAbstract(path) && fileOf(path) !== undefined) {
      const cause = new Error(`listen EADDRINUSE: address already in use ${path}`);
      return reject(Object.assign(cause, { code: "EADDRINUSE" }));
    }
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve(new UnixListener(server, path));
    });
    server.listen({ path, backlog, exclusive: true });
  });
}

/** Push, as Node's other listeners. */
class UnixListener implements ListenerTransport {
  readonly native: NodeServer;
  readonly addr: NetAddr;
  readonly #path: string;
  readonly #file: number | undefined;
  #incoming!: IncomingConnections;
  #closed = false;

  constructor(native: NodeServer, path: string) {
    this.native = native;
    this.addr = address(path);
    this.#path = path;
    this.#file = isAbstract(path) ? undefined : fileOf(path)?.ino;
  }

  start(incoming: IncomingConnections): void {
    this.#incoming = incoming;
    this.native.on("connection", (socket: NodeSocket) => {
      if (this.#closed) return void socket.destroy();
      incoming.accepted(listenTo(socket, { local: this.addr, remote: address("") }));
    });
    this.native.on("error", (cause: unknown) => this.#failed(cause));
    this.native.on("close", () => this.pull());
  }

  /** Node accepts by itself. When somebody has closed `native`, nobody will come. */
  pull(): void {
    if (this.native.listening) return;
    queueMicrotask(() => {
      this.#failed(Object.assign(new Error("the server was closed"), { code: "ECANCELED" }));
    });
  }

  #failed(cause: unknown): void {
    if (!this.#closed) this.#incoming.failed(cause);
  }

  /** Takes the socket's file away, unless it is another listener's by now. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.native.close();
    if (this.#file === undefined || fileOf(this.#path)?.ino !== this.#file) return;
    try {
      builtin<NodeFs>("node:fs")!.unlinkSync(this.#path);
    } catch {
      // The runtime was faster, or it is not ours to take away.
    }
  }

  ref(): void {
    this.native.ref();
  }

  unref(): void {
    this.native.unref();
  }
}
