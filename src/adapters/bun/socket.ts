/**
 * What this adapter uses of Bun's TCP and TLS sockets, and how their events find a receiver.
 *
 * @module
 */

/** The methods that are used. */
export interface BunSocket {
  /** Who gets the socket's events. */
  data: Receiver;
  /** -1 when closed. */
  readonly fd: number;
  /** Present on accepted sockets only. */
  readonly listener?: object;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  /** `undefined` on a UNIX socket, and when the peer has reset before the first question. */
  readonly remotePort: number | undefined;
  /** How many bytes the kernel took, from the start; -1 when it took none and never will. */
  write(data: Uint8Array): number;
  pause(): void;
  resume(): void;
  shutdown(): void;
  end(): void;
  terminate(): void;
  ref(): void;
  unref(): void;
  reload(options: { socket: typeof handlers }): void;
  /** `null` on a socket without TLS. */
  getTLSVersion(): string | null;
}

/** A socket's events. */
export interface Receiver {
  open(socket: BunSocket): void;
  received(chunk: Uint8Array): void;
  ended(): void;
  writable(): void;
  closed(cause: unknown): void;
}

/** Shared by all sockets: `socket.data` says whose event it is. */
export const handlers = {
  open: (socket: BunSocket): void => socket.data.open(socket),
  data: (socket: BunSocket, chunk: Uint8Array): void => socket.data.received(chunk),
  end: (socket: BunSocket): void => socket.data.ended(),
  drain: (socket: BunSocket): void => socket.data.writable(),
  close: (socket: BunSocket, cause?: Error): void => socket.data.closed(cause),
  error: (socket: BunSocket, cause: Error): void => socket.data.closed(cause),
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
 * Gives a connecting or connected descriptor to Bun, which calls `receiver.open` before this
 * returns. `fd` is not in Bun's documentation; `node:net` and listeners hand descriptors over so.
 */
export function takeOver(fd: number, receiver: Receiver): Promise<BunSocket> {
  const { Bun } = globalThis as unknown as { Bun: BunConnect };
  return Bun.connect({ fd, allowHalfOpen: true, data: receiver, socket: handlers });
}

/** Hears `open` only: from then on the transport is the receiver. */
export abstract class Opener implements Receiver {
  abstract open(socket: BunSocket): void;
  received(): void {}
  ended(): void {}
  writable(): void {}
  closed(): void {}
}
