/**
 * `Bun.connect` and `Bun.listen`.
 *
 * @module
 */

import net from "node:net";
import process from "node:process";
import { Duplex } from "node:stream";
import { many } from "../peer.ts";
import type { Bare, Raw, RawListener, Streams } from "./api.ts";
import { setKeepAlive, type Setsockopt } from "./keep_alive.ts";

interface Handlers<Data> {
  open?(socket: Socket<Data>): void;
  data?(socket: Socket<Data>, chunk: Uint8Array): void;
  drain?(socket: Socket<Data>): void;
  close?(socket: Socket<Data>): void;
}

interface Socket<Data> {
  data: Data;
  readonly fd: number;
  write(data: Uint8Array): number;
  end(): void;
  setNoDelay(on: boolean): boolean;
  setKeepAlive(on: boolean, delay: number): boolean;
}

interface BunFFI {
  dlopen(file: string, symbols: object): { symbols: { setsockopt: Setsockopt } };
}

interface Options<Data> {
  hostname: string;
  port: number;
  data?: Data;
  socket: Handlers<Data>;
}

const { Bun } = globalThis as unknown as {
  Bun: {
    connect<Data>(options: Options<Data>): Promise<Socket<Data>>;
    listen<Data>(options: Options<Data>): { port: number; stop(): void };
  };
};

function open<Data>(port: number, data: Data, socket: Handlers<Data>): Promise<Socket<Data>> {
  return Bun.connect({ hostname: "127.0.0.1", port, data, socket });
}

/** One promise a read, one a write. */
class Wrapper implements Bare {
  socket!: Socket<Wrapper>;
  #chunk: Uint8Array | undefined = undefined;
  #into: Uint8Array | undefined = undefined;
  #resolve: (size: number) => void = () => {};
  #rest: Uint8Array | undefined = undefined;
  #written: () => void = () => {};

  read(into: Uint8Array): Promise<number> {
    if (this.#chunk !== undefined) {
      const chunk = this.#chunk;
      this.#chunk = undefined;
      return Promise.resolve(this.#give(chunk, into));
    }
    this.#into = into;
    return new Promise((resolve) => this.#resolve = resolve);
  }

  write(data: Uint8Array): Promise<void> {
    const sent = this.socket.write(data);
    if (sent === data.length) return Promise.resolve();
    this.#rest = data.subarray(sent);
    return new Promise((resolve) => this.#written = resolve);
  }

  close(): void {
    this.socket.end();
  }

  received(chunk: Uint8Array): void {
    const into = this.#into;
    if (into === undefined) {
      this.#chunk = chunk;
    } else {
      this.#into = undefined;
      this.#resolve(this.#give(chunk, into));
    }
  }

  drained(): void {
    if (this.#rest === undefined) return;
    const sent = this.socket.write(this.#rest);
    this.#rest = sent === this.#rest.length ? undefined : this.#rest.subarray(sent);
    if (this.#rest === undefined) this.#written();
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

const wrapperHandlers: Handlers<Wrapper> = {
  data: (socket, chunk) => socket.data.received(chunk),
  drain: (socket) => socket.data.drained(),
};

/** State of a transfer: bytes to send and to take before `done`. */
class Transfer {
  toSend = 0;
  toTake = 0;
  done: () => void = () => {};
  readonly #data: Uint8Array;
  #offset = 0;

  constructor(data: Uint8Array) {
    this.#data = data;
  }

  start(socket: Socket<Transfer>, toSend: number, toTake: number): Promise<void> {
    return new Promise((resolve) => {
      this.done = resolve;
      this.toTake = toTake;
      this.toSend = toSend;
      this.pour(socket);
    });
  }

  pour(socket: Socket<Transfer>): void {
    while (this.toSend > 0) {
      const part = this.#offset === 0 ? this.#data : this.#data.subarray(this.#offset);
      const sent = Math.max(socket.write(part), 0);
      this.toSend -= sent;
      this.#offset = sent === part.length ? 0 : this.#offset + sent;
      if (sent < part.length) return;
    }
  }

  took(size: number): void {
    this.toTake -= size;
    if (this.toTake <= 0 && this.toSend <= 0) this.done();
  }
}

const transferHandlers: Handlers<Transfer> = {
  data: (socket, chunk) => socket.data.took(chunk.length),
  drain: (socket) => socket.data.pour(socket),
};

async function transfer(port: number, data: Uint8Array) {
  const socket = await open(port, new Transfer(data), transferHandlers);
  return (toSend: number, toTake: number) => socket.data.start(socket, toSend, toTake);
}

interface Trips {
  left: number;
  got: number;
  done(): void;
}

export const raw: Raw = {
  style: "callback",
  async dial(port) {
    const wrapper = new Wrapper();
    wrapper.socket = await open(port, wrapper, wrapperHandlers);
    return wrapper;
  },
  async echo(port, count, data) {
    const handlers: Handlers<Trips> = {
      data(socket, chunk) {
        const trips = socket.data;
        trips.got += chunk.length;
        if (trips.got < data.length) return;
        trips.got = 0;
        if (--trips.left > 0) socket.write(data);
        else trips.done();
      },
    };
    const sockets = await many(
      count,
      () => open<Trips>(port, { left: 0, got: 0, done() {} }, handlers),
    );
    const start = (socket: Socket<Trips>, trips: number) =>
      new Promise<void>((resolve) => {
        socket.data.left = trips;
        socket.data.done = resolve;
        socket.write(data);
      });
    return {
      run: (trips) => Promise.all(sockets.map((socket) => start(socket, trips))),
      close: () => sockets.forEach((socket) => socket.end()),
    };
  },
  async send(port, data) {
    const run = await transfer(port, data);
    return (size) => run(size, 1);
  },
  async receive(port) {
    const run = await transfer(port, new Uint8Array(1));
    return (size) => run(1, size);
  },
  async both(port, data) {
    const run = await transfer(port, data);
    return (size) => run(size, size);
  },
  async connectClose(port) {
    (await open(port, undefined, { data() {} })).end();
  },
  connectSetClose(port) {
    const { dlopen } = process.getBuiltinModule("bun:ffi") as unknown as BunFFI;
    const { setsockopt } = dlopen("libc.so.6", {
      setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
    }).symbols;
    // It has noDelay already.
    return Promise.resolve(async () => {
      const socket = await open(port, undefined, { data() {} });
      setKeepAlive(setsockopt, socket.fd);
      socket.end();
    });
  },
  listen(): Promise<RawListener> {
    const accepted: Socket<undefined>[] = [];
    let waiting = { count: 0, done() {} };
    let asked = 0;
    const listener = Bun.listen<undefined>({
      hostname: "127.0.0.1",
      port: 0,
      socket: {
        open(socket) {
          if (accepted.push(socket) === waiting.count) waiting.done();
        },
        data() {},
      },
    });
    return Promise.resolve({
      port: listener.port,
      accept: (count) =>
        new Promise<void>((done) => {
          asked += count;
          waiting = { count: asked, done };
          if (accepted.length >= asked) done();
        }),
      drop() {
        asked = 0;
        for (const socket of accepted.splice(0)) socket.end();
      },
      close: () => listener.stop(),
    });
  },
  async streams(port) {
    // Bun's own sockets have none; these are of its node:net.
    const socket = net.connect(port, "127.0.0.1");
    await new Promise((resolve) => socket.once("connect", resolve));
    return Duplex.toWeb(socket) as unknown as Streams;
  },
  async keepAlive(port) {
    const socket = await open(port, undefined, { data() {} });
    const set = (idle: number) => void socket.setKeepAlive(true, idle);
    return { what: "socket.setKeepAlive(true, idle), interval and count fixed", set };
  },
};
