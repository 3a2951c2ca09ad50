/**
 * `net.connect` and `net.createServer`.
 *
 * @module
 */

import net from "node:net";
import { Duplex } from "node:stream";
import { many } from "../peer.ts";
import type { Bare, Raw, RawListener, Streams } from "./api.ts";

/** What is used of `net.Socket`; the four-argument `setKeepAlive` is new. */
interface Socket extends Omit<net.Socket, "setKeepAlive"> {
  setKeepAlive(on: boolean, idle: number, interval: number, count: number): this;
}

function open(port: number): Promise<Socket> {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true }) as unknown as Socket;
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("connect", () => resolve(socket));
  });
}

/** One promise a read, one a write. */
class Wrapper implements Bare {
  readonly #socket: Socket;
  #chunk: Uint8Array | undefined = undefined;
  #into: Uint8Array | undefined = undefined;
  #resolve: (size: number) => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Uint8Array) => this.#received(chunk));
  }

  read(into: Uint8Array): Promise<number> {
    if (this.#chunk !== undefined) {
      const chunk = this.#chunk;
      this.#chunk = undefined;
      return Promise.resolve(this.#give(chunk, into));
    }
    this.#into = into;
    return new Promise((resolve) => this.#resolve = resolve);
  }

  write(data: Uint8Array): Promise<unknown> {
    return new Promise((resolve) => this.#socket.write(data, resolve));
  }

  close(): void {
    this.#socket.destroy();
  }

  #received(chunk: Uint8Array): void {
    const into = this.#into;
    if (into === undefined) {
      this.#chunk = chunk;
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
    this.#chunk = chunk.subarray(into.length);
    return into.length;
  }
}

function transfer(socket: Socket, data: Uint8Array) {
  let toTake = 0;
  let done = () => {};
  socket.on("data", (chunk: Uint8Array) => {
    toTake -= chunk.length;
    if (toTake <= 0) done();
  });
  return (size: number, take: number) =>
    new Promise<void>((resolve) => {
      toTake = take;
      done = resolve;
      let left = size;
      const pour = () => {
        while (left > 0) {
          left -= data.length;
          if (!socket.write(data) && left > 0) return void socket.once("drain", pour);
        }
      };
      pour();
    });
}

export const raw: Raw = {
  style: "callback",
  dial: async (port) => new Wrapper(await open(port)),
  async echo(port, count, data) {
    const sockets = await many(count, () => open(port));
    const starts = sockets.map((socket) => {
      let left = 0;
      let got = 0;
      let done = () => {};
      socket.on("data", (chunk: Uint8Array) => {
        got += chunk.length;
        if (got < data.length) return;
        got = 0;
        if (--left > 0) socket.write(data);
        else done();
      });
      return (trips: number) =>
        new Promise<void>((resolve) => {
          left = trips;
          done = resolve;
          socket.write(data);
        });
    });
    return {
      run: (trips) => Promise.all(starts.map((start) => start(trips))),
      close: () => sockets.forEach((socket) => socket.destroy()),
    };
  },
  async send(port, data) {
    const run = transfer(await open(port), data);
    return (size) => run(size, 1);
  },
  async receive(port) {
    const run = transfer(await open(port), new Uint8Array(1));
    return (size) => run(1, size);
  },
  async both(port, data) {
    const run = transfer(await open(port), data);
    return (size) => run(size, size);
  },
  async connectClose(port) {
    const socket = net.connect({ port, host: "127.0.0.1" });
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.once("connect", () => resolve());
    });
    socket.destroy();
  },
  connectSetClose(port) {
    return Promise.resolve(async () => {
      const socket = await open(port);
      socket.setKeepAlive(true, 60_000, 10_000, 3);
      socket.destroy();
    });
  },
  async listen(): Promise<RawListener> {
    const accepted: net.Socket[] = [];
    let waiting = { count: 0, done() {} };
    let asked = 0;
    const server = net.createServer((socket) => {
      socket.on("error", () => {});
      if (accepted.push(socket) === waiting.count) waiting.done();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return {
      port: (server.address() as net.AddressInfo).port,
      accept: (count) =>
        new Promise<void>((done) => {
          asked += count;
          waiting = { count: asked, done };
          if (accepted.length >= asked) done();
        }),
      drop() {
        asked = 0;
        for (const socket of accepted.splice(0)) socket.destroy();
      },
      close: () => void server.close(),
    };
  },
  async streams(port) {
    return Duplex.toWeb(await open(port) as unknown as net.Socket) as unknown as Streams;
  },
  async keepAlive(port) {
    const socket = await open(port);
    const set = (idle: number) => void socket.setKeepAlive(true, idle, 10_000, 3);
    return { what: "socket.setKeepAlive(true, idle, interval, count)", set };
  },
};
