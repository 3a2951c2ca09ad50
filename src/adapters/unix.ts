/** Unix sockets through `node:net`, in all three runtimes. */

import type { Attempt, ListenerTransport, Transport } from "../adapter.ts";
import type { NetAddr, UnixAddr } from "../kernel/address.ts";
import type { Stats } from "../kernel/modules.ts";
import { openDescriptors } from "../kernel/descriptors.ts";
import { AF_UNIX, encodeUnix, SOCK_STREAM } from "../kernel/sockaddr.ts";
import { builtin, host, runtime } from "../kernel/system.ts";
import { coded, systemError } from "../kernel/system_error.ts";
import { sleep } from "../time/native_timers.ts";
import { Settling } from "../time/settling.ts";
import { loadKernel } from "./bun/kernel.ts";
import { list } from "./deno/descriptor.ts";
import { loadKernel as loadDenoKernel } from "./deno/kernel.ts";
import { SocketAttempt } from "./node/connect.ts";
import { NodeListenerTransport, openServer } from "./node/listen.ts";
import { net, type NodeServer } from "./node/net.ts";
import { listenTo } from "./node/transport.ts";
import { destroyed } from "./errors.ts";

/** How long a process may take between binding its socket and listening, ms. */
const starting = 20;

/** A listener whose backlog is full is dialled again after at most this time, ms. */
const longestPause = 20;

/** Makes an address that the core passes on unseen, as it looks into addresses of TCP only. */
function address(path: string): NetAddr {
  return { transport: "unix", path } satisfies UnixAddr as unknown as NetAddr;
}

export function connectUnix(path: string): Attempt {
  return new UnixAttempt(path);
}

/** When the last of those that wait for a listener is over, by the listener's path. */
const queues = new Map<string, Promise<unknown>>();

/**
 * Dials again while the listener's backlog is full, which for TCP the kernel does. Of those that wait, one
 * dials at a time, so that many cost no more than one.
 */
class UnixAttempt implements Attempt {
  readonly waitsFor = "the listener does not accept";
  readonly opened: Promise<Transport>;
  /** Settles the wait for the current attempt. */
  #aborted: Settling<never> | undefined = undefined;
  #attempt: Attempt | undefined = undefined;
  #over = false;

  constructor(path: string) {
    this.opened = this.#open(path);
  }

  async #open(path: string): Promise<Transport> {
    const before = queues.get(path);
    const found = before === undefined ? await this.#dial(path) : undefined;
    if (found !== undefined) return found;
    const waiting = (queues.get(path) ?? before ?? Promise.resolve()).then(() => this.#wait(path));
    const last = waiting.catch(() => {}).then(() => {
      if (queues.get(path) === last) queues.delete(path);
    });
    queues.set(path, last);
    return waiting;
  }

  async #wait(path: string): Promise<Transport> {
    for (let pause = 1; !this.#over; pause = Math.min(2 * pause, longestPause)) {
      const found = await this.#dial(path);
      if (found !== undefined) return found;
      await sleep(pause);
    }
    throw destroyed();
  }

  /** Returns `undefined` when the backlog is full. */
  async #dial(path: string): Promise<Transport | undefined> {
    const { opened } = this.#attempt = dialOnce(path);
    // An attempt that is called off does not end by itself, and others wait for it.
    const { promise } = this.#aborted = new Settling();
    try {
      return await Promise.race([opened, promise]);
    } catch (error) {
      const cause = withReason(error, path);
      if (codeOf(cause) !== "EAGAIN") throw cause;
      return undefined;
    }
  }

  abort(): void {
    this.#over = true;
    this.#attempt?.abort();
    this.#aborted?.reject(destroyed());
  }
}

function dialOnce(path: string): Attempt {
  const socket = net().connect({ path, allowHalfOpen: true });
  socket.pause();
  const known = { local: address(""), remote: address(path) };
  return new SocketAttempt(socket, () => listenTo(socket, known));
}

/** Returns the kernel's error for a failure of dialling, since Bun has ECONNREFUSED for nearly all. */
function withReason(error: unknown, path: string): unknown {
  if (runtime().name !== "bun" || codeOf(error) !== "ECONNREFUSED") return error;
  const { kernel } = loadKernel();
  if (kernel === undefined) return error;
  const fd = kernel.socket(AF_UNIX, SOCK_STREAM, 0);
  const result = fd < 0 ? fd : kernel.connect(fd, encodeUnix(path));
  if (fd >= 0) kernel.close(fd);
  // The listener may have room by now.
  return result < 0 ? systemError(result, "connect") : coded("EAGAIN", "connect EAGAIN");
}

function codeOf(error: unknown): string | undefined {
  return (error as { code?: string }).code;
}

/** When the last `listenUnix` of this thread is over. */
let last: Promise<unknown> = Promise.resolve();

/**
 * Listens on a Unix socket. If the file of a dead listener is in the way, it is replaced. One call waits for
 * the other, so that two do not remove each other's file.
 *
 * @throws The runtime's own error: EADDRINUSE for a live listener, and for a file that is not a socket.
 */
export function listenUnix(path: string, backlog: number | undefined): Promise<ListenerTransport> {
  const listening = last.then(() => replaceStale(path, backlog));
  last = listening.catch(() => {});
  return listening;
}

async function replaceStale(path: string, backlog?: number): Promise<ListenerTransport> {
  try {
    return await open(path, backlog);
  } catch (error) {
    if (codeOf(error) !== "EADDRINUSE" || !(await removeStale(path))) {
      throw error;
    }
    return await open(path, backlog);
  }
}

/** Removes the file of a socket without a listener. Returns whether there is no file at `path` any more. */
async function removeStale(path: string): Promise<boolean> {
  if (isAbstract(path)) return false;
  const stale = fileOf(path);
  if (stale === undefined) return true;
  if (!stale.isSocket() || !(await isRefused(path))) return false;
  // It may belong to a process that just starts: until it listens, it refuses connections.
  await sleep(starting);
  if (!(await isRefused(path))) return false;
  // Another process may replace it as well. So it is taken away first, to see which file it is.
  const { renameSync, unlinkSync } = builtin("node:fs");
  const aside = asideOf(path);
  try {
    renameSync(path, aside);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return true;
    throw error;
  }
  const taken = fileOf(aside);
  const same = taken?.ino === stale.ino && taken.mtimeMs === stale.mtimeMs;
  if (!same && fileOf(path) === undefined) renameSync(aside, path);
  else unlinkSync(aside);
  return same;
}

/** Whether the socket at `path` has no listener. */
async function isRefused(path: string): Promise<boolean> {
  const attempt = dialOnce(path);
  try {
    (await attempt.opened).close();
    return false;
  } catch (error) {
    attempt.abort();
    return codeOf(withReason(error, path)) === "ECONNREFUSED";
  }
}

/** A name beside `path` that nobody else uses. */
function asideOf(path: string): string {
  return `${path}.${host().pid}-${Math.random().toString(36).slice(2)}`;
}

/** Bun's error for a lack of descriptors has no code, so another call is tried that needs one. */
function withCode(cause: unknown): unknown {
  const { openSync, closeSync } = builtin("node:fs");
  try {
    closeSync(openSync("/", "r"));
    return cause;
  } catch (error) {
    return Object.assign(cause as Error, { code: codeOf(error) });
  }
}

function isAbstract(path: string): boolean {
  return path.startsWith("\0");
}

function fileOf(path: string): Stats | undefined {
  return builtin("node:fs").lstatSync(path, { throwIfNoEntry: false });
}

/** Returns the path in a form that `node:net` does not take for a port: it listens to no path like "80". */
function notPort(path: string): string {
  return Number(path) >= 0 ? `./${path}` : path;
}

async function open(path: string, backlog: number | undefined): Promise<ListenerTransport> {
  // Bun would replace the file even of a live listener.
  if (runtime().name === "bun" && !isAbstract(path) && fileOf(path) !== undefined) {
    throw coded("EADDRINUSE", `listen EADDRINUSE: address already in use ${path}`);
  }
  try {
    const server = await openServer({ path: notPort(path), backlog, exclusive: true });
    if (host().versions.deno !== undefined) keepFromChildren(notPort(path));
    return new UnixListener(server, path);
  } catch (cause) {
    const { code } = cause as { code?: string };
    if (code === undefined) throw withCode(cause);
    // libuv says EACCES for a directory that does not exist (`uv_pipe_bind2`), as Windows does.
    const missing = code === "EACCES" &&
      fileOf(path.slice(0, path.lastIndexOf("/") + 1) || ".") === undefined;
    throw missing ? coded("ENOENT", `listen ENOENT: no such directory ${path}`) : cause;
  }
}

/**
 * Deno lets child processes inherit the listening socket. One that outlives this process would keep it, and
 * the path would seem to be in use. Can go when Deno's `node:net` sets FD_CLOEXEC.
 */
function keepFromChildren(path: string): void {
  const { kernel } = loadDenoKernel();
  if (kernel === undefined) return;
  const address = String(encodeUnix(path));
  const found = new Uint8Array(128);
  for (const fd of openDescriptors(kernel, list)) {
    const length = kernel.getsockname(fd, found);
    if (length > 0 && String(found.subarray(0, length)) === address) kernel.closeOnExec(fd);
  }
}

class UnixListener extends NodeListenerTransport {
  readonly #path: string;
  readonly #file: number | undefined;

  constructor(native: NodeServer, path: string) {
    const local = address(path);
    super(native, local, (socket) => listenTo(socket, { local, remote: address("") }));
    this.#path = path;
    this.#file = isAbstract(path) ? undefined : fileOf(path)?.ino;
  }

  /**
   * Closes the server, and with it the runtime removes the socket's file: whatever is at its path, so a file
   * that belongs to another listener by now is put aside meanwhile. Can go when runtimes look first:
   * https://github.com/libuv/libuv/blob/v1.51.0/src/unix/pipe.c `uv__pipe_close`
   */
  protected override closeServer(): void {
    const { renameSync } = builtin("node:fs");
    const aside = asideOf(this.#path);
    const found = this.#file && fileOf(this.#path)?.ino;
    const replaced = found !== this.#file && found !== undefined;
    try {
      if (replaced) renameSync(this.#path, aside);
      super.closeServer();
      if (replaced) renameSync(aside, this.#path);
    } catch {
      // It may not be renamed, and so not be removed either.
      super.closeServer();
    }
  }
}
