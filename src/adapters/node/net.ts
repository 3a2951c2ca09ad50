/** The part of `node:net` that is used, also that of Deno and Bun. */

import { builtin } from "../../kernel/system.ts";

/** A binding writes an address into such an object. */
export class Name {
  // Declared, since properties that a binding has to add cost a quarter of the call.
  address: string | undefined = undefined;
  family: string | undefined = undefined;
  port: number | undefined = undefined;
}

/** The object below a socket. Not documented, but nothing else has the descriptor. */
export interface Binding {
  readonly fd?: number;
  getpeername?(into: Name): number;
  getsockname?(into: Name): number;
  readStart?(): number;
  readonly writeQueueSize?: number;
  readonly bytesWritten?: number;
  useUserBuffer?(memory: Uint8Array): void;
  setNoDelay?(on: boolean): unknown;
  setKeepAlive?(on: boolean, ...values: number[]): unknown;
}

/** Tells a stream that its write is over. All writes of a stream get the same function. */
export type Done = (error?: unknown) => void;

interface Emitter {
  on(event: string, listener: (...args: never[]) => void): unknown;
  once(event: string, listener: (...args: never[]) => void): unknown;
  off(event: string, listener: (...args: never[]) => void): unknown;
}

/** A `net.Socket` or `tls.TLSSocket`. */
export interface NodeSocket extends Emitter {
  allowHalfOpen: boolean;
  readonly localAddress?: string;
  readonly localPort?: number;
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  readonly connecting: boolean;
  readonly destroyed: boolean;
  readonly encrypted?: boolean;
  readonly errored: Error | null;
  readonly bytesRead: number;
  readonly readableEncoding: string | null;
  readonly readableEnded: boolean;
  readonly writableEnded: boolean;
  readonly writableFinished: boolean;
  readonly readableLength: number;
  readonly writableLength: number;
  readonly writableCorked: number;
  readonly _handle: Binding | null;
  address(): { family?: string };
  connect(options: DialOptions): unknown;
  /** Returns a part of what has arrived and is kept, or `null` when there is nothing. */
  read(): Uint8Array | null;
  /** Puts bytes that were read back to the front. */
  unshift(chunk: Uint8Array): void;
  pause(): unknown;
  resume(): unknown;
  write(data: Uint8Array, done?: () => void): boolean;
  /** The method that the `write` of a stream calls, and that classes of streams define. */
  _write(data: Uint8Array, encoding: string, done: Done): void;
  end(done: (error?: Error | null) => void): unknown;
  destroy(cause?: unknown): unknown;
  resetAndDestroy?(): unknown;
  /** Set by `resetAndDestroy` before it destroys the socket. */
  resetAndClosing?: boolean;
  unref(): unknown;
}

/** A `net.Server` or one of its kin. */
export interface NodeServer extends Emitter {
  readonly listening: boolean;
  readonly _handle?: Binding | null;
  /** A string is the path of a UNIX socket. `null` means that the server does not listen. */
  address(): { address: string; port: number } | string | null;
  listen(options: NodeListenOptions, backlog?: number): unknown;
  close(): unknown;
  unref(): unknown;
}

export interface NodeListenOptions {
  readonly host?: string;
  readonly port?: number;
  readonly path?: string;
  readonly fd?: number;
  readonly backlog: number | undefined;
  readonly ipv6Only?: boolean | undefined;
  readonly reusePort?: boolean;
  readonly exclusive?: boolean;
}

interface DialOptions {
  readonly host: string;
  readonly port: number;
  readonly autoSelectFamily: boolean;
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
}

interface NodeNet {
  Socket: new (options: {
    fd?: number;
    /** Keeps a socket with a descriptor from reading at once. Not documented. */
    manualStart?: boolean;
    allowHalfOpen: boolean;
    onread?: { buffer: Uint8Array; callback: unknown };
  }) => NodeSocket;
  Server: new () => NodeServer;
  connect(options: DialOptions | { path: string; allowHalfOpen: boolean }): NodeSocket;
  createServer(options: { allowHalfOpen: boolean; pauseOnConnect: boolean }): NodeServer;
  isIP(host: string): number;
}

let kept: NodeNet | undefined;

/** Loads `node:net` at the first call. */
export function net(): NodeNet {
  return kept ??= builtin<NodeNet>("node:net")!;
}
