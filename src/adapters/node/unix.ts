/**
 * Unix sockets through `node:net`, in all three runtimes.
 *
 * @module
 */

import type { Attempt, IncomingConnections, ListenerTransport, Transport } from "../../adapter.ts";
import type { NetAddr, UnixAddr } from "../../kernel/address.ts";
import { builtin, host } from "../../kernel/system.ts";
import { coded } from "../../kernel/system_error.ts";
import { closeReport, type NodeServer } from "./listen.ts";
import { listenTo, type NodeSocket } from "./transport.ts";

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
  renameSync(path: string, to: string): void;
  openSync(path: string, flags: string): number;
  closeSync(fd: number): void;
}

/** Makes an address that the core passes on unseen, as it looks into addresses of TCP only. */
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
 * Listens on a Unix socket. If the file of a dead listener is in the way, it is replaced.
 *
 * @throws The runtime's own error: EADDRINUSE for a live listener, and for a file that is not a socket.
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

/** Whether `path` is the file of a socket without a listener. */
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

/** Bun's error for a lack of descriptors has no code, so another call is tried that needs one. */
function withCode(cause: unknown): unknown {
  const { openSync, closeSync } = builtin<NodeFs>("node:fs")!;
  try {
    closeSync(openSync("/", "r"));
    return cause;
  } catch (error) {
    return Object.assign(cause as Error, { code: (error as { code?: string }).code });
  }
}

function isAbstract(path: string): boolean {
  return path.startsWith("\0");
}

function fileOf(path: string): Stats | undefined {
  return builtin<NodeFs>("node:fs")!.lstatSync(path, { throwIfNoEntry: false });
}

/** Returns the path in a form that `node:net` does not take for a port: it listens to no path like "80". */
function notPort(path: string): string {
  return Number(path) >= 0 ? `./${path}` : path;
}

function open(path: string, backlog: number | undefined): Promise<ListenerTransport> {
  const { createServer } = builtin<NodeNet>("node:net")!;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  return new Promise((resolve, reject) => {
    // Bun would replace the file even of a live listener.
    if (host().versions.bun !== undefined && !isAbstract(path) && fileOf(path) !== undefined) {
      return reject(coded("EADDRINUSE", `listen EADDRINUSE: address already in use ${path}`));
    }
    const failed = (cause: { code?: string }) => {
      // libuv says EACCES for a directory that does not exist (`uv_pipe_bind2`), as Windows does.
      const missing = cause.code === "EACCES" &&
        fileOf(path.slice(0, path.lastIndexOf("/") + 1) || ".") === undefined;
      if (cause.code === undefined) return reject(withCode(cause));
      reject(missing ? coded("ENOENT", `listen ENOENT: no such directory ${path}`) : cause);
    };
    server.once("error", failed);
    server.once("listening", () => {
      server.off("error", failed);
      resolve(new UnixListener(server, path));
    });
    server.listen({ path: notPort(path), backlog, exclusive: true });
  });
}

/** A transport over `net.Server`, which accepts connections at once. */
class UnixListener implements ListenerTransport {
  readonly native: NodeServer;
  readonly addr: NetAddr;
  readonly #path: string;
  readonly #file: number | undefined;
  #incoming!: IncomingConnections;
  #closed = false;
  readonly #reportClose: () => void = closeReport(() => this.#closed ? undefined : this.#incoming);

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
    this.native.on("close", this.#reportClose);
  }

  /** Does nothing while the server listens. When the program has closed it, this reports that. */
  pull(): void {
    if (!this.native.listening) this.#reportClose();
  }

  #failed(cause: unknown): void {
    if (!this.#closed) this.#incoming.failed(cause);
  }

  /**
   * Closes the server, and with it the runtime removes the socket's file: whatever is at its path, so a file
   * that belongs to another listener by now is put aside meanwhile. Can go when runtimes look first:
   * https://github.com/libuv/libuv/blob/v1.51.0/src/unix/pipe.c `uv__pipe_close`
   */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    const { renameSync } = builtin<NodeFs>("node:fs")!;
    const aside = `${this.#path}.${host().pid}`;
    const found = this.#file && fileOf(this.#path)?.ino;
    const replaced = found !== this.#file && found !== undefined;
    try {
      if (replaced) renameSync(this.#path, aside);
      this.native.close();
      if (replaced) renameSync(aside, this.#path);
    } catch {
      // It may not be renamed, and so not be removed either.
      this.native.close();
    }
  }

  unref(): void {
    this.native.unref();
  }
}
