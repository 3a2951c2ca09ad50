/** The part of Bun's TCP and TLS sockets that is used, and how their events get to a receiver. */

/** The members of a socket that are used. */
export interface BunSocket {
  /** Gets the socket's events. */
  data: Receiver;
  /** -1 when closed. */
  readonly fd: number;
  /** Present on accepted sockets only. */
  readonly listener?: object;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  /** `undefined` on a UNIX socket, and when the peer had reset before this was first read. */
  readonly remotePort: number | undefined;
  /** Returns how many bytes from the start the kernel took, or -1 when the connection is broken. */
  write(data: Uint8Array): number;
  pause(): void;
  resume(): void;
  shutdown(): void;
  end(): void;
  close(): void;
  terminate(): void;
  unref(): void;
  setNoDelay(on: boolean): boolean;
  setKeepAlive(on: boolean): boolean;
  reload(options: { socket: typeof handlers }): void;
  /** `null` on a socket without TLS. */
  getTLSVersion(): string | null;
}

/** Recognizes Bun's own TCP and TLS sockets. */
export function isBunSocket(native: object): native is BunSocket {
  const tag = Object.prototype.toString.call(native);
  return tag === "[object TCPSocket]" || tag === "[object TLSSocket]";
}

/** Methods that the events of a socket call, as far as the receiver has them. */
export interface Receiver {
  open?(socket: BunSocket): void;
  received?(chunk: Uint8Array): void;
  ended?(): void;
  writable?(): void;
  closed?(cause: unknown): void;
}

/** Shared by all sockets. `socket.data` is the receiver of the event. */
export const handlers = {
  open: (socket: BunSocket): void => socket.data.open?.(socket),
  data: (socket: BunSocket, chunk: Uint8Array): void => socket.data.received?.(chunk),
  end: (socket: BunSocket): void => socket.data.ended?.(),
  drain: (socket: BunSocket): void => socket.data.writable?.(),
  close: (socket: BunSocket, cause?: Error): void => socket.data.closed?.(cause),
  error: (socket: BunSocket, cause: Error): void => socket.data.closed?.(cause),
};

interface BunConnect {
  connect(options: {
    fd: number;
    allowHalfOpen: boolean;
    data: Receiver;
    socket: typeof handlers;
  }): Promise<BunSocket>;
}

/**
 * Gives a connecting or connected descriptor to Bun, which calls `receiver.open` before this function
 * returns. The option `fd` is not documented, but Bun's `node:net` uses it.
 */
export function takeOver(fd: number, receiver: Receiver): Promise<BunSocket> {
  const { Bun } = globalThis as unknown as { Bun: BunConnect };
  return Bun.connect({ fd, allowHalfOpen: true, data: receiver, socket: handlers });
}
