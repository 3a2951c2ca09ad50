/** What the raw sides of Bun and Node share, whose sockets both push their bytes. */

import net from "node:net";
import { Duplex } from "node:stream";
import type { RawListener, Streams } from "./api.ts";

/** A connection of `node:net`. */
export function dialNet(port: number, noDelay: boolean = true): Promise<net.Socket> {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay });
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("connect", () => resolve(socket));
  });
}

/** Its streams. */
export async function netStreams(port: number): Promise<Streams> {
  return Duplex.toWeb(await dialNet(port)) as unknown as Streams;
}

/** Makes one promise for each read. */
export class Inbox {
  readonly #chunks: Uint8Array[] = [];
  #into: Uint8Array | undefined = undefined;
  #resolve: (size: number) => void = () => {};

  read(into: Uint8Array): Promise<number> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) return Promise.resolve(this.#give(chunk, into));
    this.#into = into;
    return new Promise((resolve) => this.#resolve = resolve);
  }

  received(chunk: Uint8Array): void {
    const into = this.#into;
    if (into === undefined) {
      this.#chunks.push(chunk);
    } else {
      this.#into = undefined;
      this.#resolve(this.#give(chunk, into));
    }
  }

  #give(chunk: Uint8Array, into: Uint8Array): number {
    if (chunk.length <= into.length) {
      into.set(chunk);
      return chunk.length;
    }
    into.set(chunk.subarray(0, into.length));
    this.#chunks.unshift(chunk.subarray(into.length));
    return into.length;
  }
}

/** Round trips of `size` bytes on one connection. */
export class Trips {
  #left = 0;
  #got = 0;
  #done: () => void = () => {};
  readonly #write: () => unknown;
  readonly #size: number;

  constructor(size: number, write: () => unknown) {
    this.#size = size;
    this.#write = write;
  }

  run(trips: number): Promise<void> {
    return new Promise((resolve) => {
      this.#left = trips;
      this.#done = resolve;
      this.#write();
    });
  }

  received(chunk: Uint8Array): void {
    this.#got += chunk.length;
    if (this.#got < this.#size) return;
    this.#got = 0;
    if (--this.#left > 0) this.#write();
    else this.#done();
  }
}

/** A listener whose connections are pushed, and each closed by `close`. */
export class Accepted<Socket> implements RawListener {
  port = 0;
  readonly #close: (socket: Socket) => unknown;
  readonly #sockets: Socket[] = [];
  #asked = 0;
  #done: () => void = () => {};

  constructor(close: (socket: Socket) => unknown) {
    this.#close = close;
  }

  push(socket: Socket): void {
    if (this.#sockets.push(socket) === this.#asked) this.#done();
  }

  accept(count: number): Promise<void> {
    this.#asked += count;
    return new Promise((resolve) => {
      this.#done = resolve;
      if (this.#sockets.length >= this.#asked) resolve();
    });
  }

  drop(): void {
    this.#asked = 0;
    this.#sockets.splice(0).forEach(this.#close);
  }
}
