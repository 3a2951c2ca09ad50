/** `Bun.connect` and `Bun.listen`. */

import process from "node:process";
import { many } from "../peer.ts";
import { ca } from "../../../tests/support/certificate.ts";
import type { Bare, Raw, RawBytes } from "./api.ts";
import { Bun, type Handlers, type Socket } from "./bun_api.ts";
import { Accepted, Inbox, netStreams, Trips } from "./callback.ts";
import { setKeepAlive, type Setsockopt } from "./keep_alive.ts";

interface BunFFI {
  dlopen(file: string, symbols: object): { symbols: { setsockopt: Setsockopt } };
}

const hostname = "127.0.0.1";

function open<Data>(port: number, data: Data, socket: Handlers<Data>): Promise<Socket<Data>> {
  return Bun.connect({ hostname, port, data, socket });
}

function openTls<Data>(port: number, data: Data, socket: Handlers<Data>): Promise<Socket<Data>> {
  return new Promise((resolve, reject) => {
    const handshake = (native: Socket<Data>, success: boolean) =>
      success ? resolve(native) : reject(new Error("no TLS"));
    const all = { ...socket, handshake };
    Bun.connect({ hostname, port, data, socket: all, tls: { ca } }).catch(reject);
  });
}

const bare = (port: number) => open(port, undefined, { data() {} });

/** Makes one promise for each read and each write. */
class Wrapper extends Inbox implements Bare {
  socket!: Socket<Wrapper>;
  #rest: Uint8Array | undefined = undefined;
  #written: () => void = () => {};

  write(data: Uint8Array): Promise<void> {
    const sent = this.socket.write(data);
    if (sent === data.length) return Promise.resolve();
    this.#rest = data.subarray(sent);
    return new Promise((resolve) => this.#written = resolve);
  }

  close(): void {
    this.socket.end();
  }

  drained(): void {
    if (this.#rest === undefined) return;
    const sent = this.socket.write(this.#rest);
    this.#rest = sent === this.#rest.length ? undefined : this.#rest.subarray(sent);
    if (this.#rest === undefined) this.#written();
  }
}

const wrapperHandlers: Handlers<Wrapper> = {
  data: (socket, chunk) => socket.data.received(chunk),
  drain: (socket) => socket.data.drained(),
};

/** With `open`, which opens a connection. */
const bytes = (open: typeof openTls): RawBytes => ({
  async dial(port) {
    const wrapper = new Wrapper();
    wrapper.socket = await open(port, wrapper, wrapperHandlers);
    return wrapper;
  },
  async echo(port, count, data) {
    const handlers: Handlers<Trips> = { data: ({ data: trips }, chunk) => trips.received(chunk) };
    const sockets = await many(count, async () => {
      const trips: Trips = new Trips(data.length, () => socket.write(data));
      const socket = await open(port, trips, handlers);
      return socket;
    });
    return {
      run: (trips) => Promise.all(sockets.map((socket) => socket.data.run(trips))),
      close: () => sockets.forEach((socket) => socket.end()),
    };
  },
  async transfer(port, data) {
    let [left, toTake, offset, done] = [0, 0, 0, () => {}];
    const pour = (socket: Socket<undefined>) => {
      while (left > 0) {
        const part = offset === 0 ? data : data.subarray(offset);
        const sent = Math.max(socket.write(part), 0);
        left -= sent;
        offset = sent === part.length ? 0 : offset + sent;
        if (sent < part.length) return;
      }
    };
    const took = (_socket: object, chunk: Uint8Array) => {
      toTake -= chunk.length;
      if (toTake <= 0 && left <= 0) done();
    };
    const socket = await open(port, undefined, { data: took, drain: pour });
    return (send, take) =>
      new Promise<void>((resolve) => {
        [left, toTake, done] = [send, take, resolve];
        pour(socket);
      });
  },
});

export const raw: Raw = {
  style: "callback",
  ...bytes(open),
  secure: bytes(openTls),
  async connectClose(port) {
    (await bare(port)).end();
  },
  connectSetClose(port) {
    const { dlopen } = process.getBuiltinModule("bun:ffi") as unknown as BunFFI;
    const { setsockopt } = dlopen("libc.so.6", {
      setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
    }).symbols;
    // Bun has set noDelay already.
    return Promise.resolve(async () => {
      const socket = await bare(port);
      setKeepAlive(setsockopt, socket.fd);
      socket.end();
    });
  },
  listen() {
    const accepted = new Accepted<Socket<undefined>>((socket) => socket.end());
    const socket = { open: (one: Socket<undefined>) => accepted.push(one), data() {} };
    accepted.port = Bun.listen<undefined>({ hostname, port: 0, socket }).port;
    return Promise.resolve(accepted);
  },
  // Bun's own sockets have no web streams.
  streams: netStreams,
  async keepAlive(port) {
    const socket = await bare(port);
    const set = (idle: number) => void socket.setKeepAlive(true, idle);
    return { what: "socket.setKeepAlive(true, idle), interval and count fixed", set };
  },
};
