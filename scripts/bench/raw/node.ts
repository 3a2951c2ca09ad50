/** `net.connect` and `net.createServer`. */

import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { ca } from "../../../tests/support/certificate.ts";
import { many } from "../peer.ts";
import type { Bare, Raw, RawBytes } from "./api.ts";
import { Accepted, dialNet, Inbox, netStreams, Trips } from "./callback.ts";

/** The part of `net.Socket` that is used. The four-argument `setKeepAlive` is new. */
interface Socket extends Omit<net.Socket, "setKeepAlive"> {
  setKeepAlive(on: boolean, idle: number, interval: number, count: number): this;
}

const host = "127.0.0.1";

const open = dialNet as unknown as (...args: Parameters<typeof dialNet>) => Promise<Socket>;

async function openTls(port: number): Promise<Socket> {
  const socket = tls.connect({ port, host, ca });
  socket.setNoDelay(true);
  await once(socket, "secureConnect");
  return socket as unknown as Socket;
}

/** Makes one promise for each read and each write. */
class Wrapper extends Inbox implements Bare {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super();
    this.#socket = socket;
    socket.on("data", (chunk: Uint8Array) => this.received(chunk));
  }

  write(data: Uint8Array): Promise<unknown> {
    return new Promise((resolve) => this.#socket.write(data, resolve));
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** With `open`, which opens a connection. */
const bytes = (open: (port: number) => Promise<Socket>): RawBytes => ({
  dial: async (port) => new Wrapper(await open(port)),
  async echo(port, count, data) {
    const sockets = await many(count, () => open(port));
    const all = sockets.map((socket) => {
      const trips = new Trips(data.length, () => socket.write(data));
      socket.on("data", (chunk: Uint8Array) => trips.received(chunk));
      return trips;
    });
    return {
      run: (count) => Promise.all(all.map((trips) => trips.run(count))),
      close: () => sockets.forEach((socket) => socket.destroy()),
    };
  },
  async transfer(port, data) {
    const socket = await open(port);
    let left = 0;
    let done = () => {};
    socket.on("data", (chunk: Uint8Array) => {
      left -= chunk.length;
      if (left <= 0) done();
    });
    return (toSend, toTake) =>
      new Promise<void>((resolve) => {
        left = toTake;
        done = resolve;
        const pour = () => {
          while (toSend > 0) {
            toSend -= data.length;
            if (!socket.write(data) && toSend > 0) return void socket.once("drain", pour);
          }
        };
        pour();
      });
  },
});

export const raw: Raw = {
  style: "callback",
  ...bytes(open),
  secure: bytes(openTls),
  async connectClose(port) {
    (await open(port, false)).destroy();
  },
  connectSetClose(port) {
    return Promise.resolve(async () => {
      const socket = await open(port);
      socket.setKeepAlive(true, 60_000, 10_000, 3);
      socket.destroy();
    });
  },
  async listen() {
    const accepted = new Accepted<net.Socket>((socket) => socket.destroy());
    const server = net.createServer((socket) => {
      socket.on("error", () => {});
      accepted.push(socket);
    });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    accepted.port = (server.address() as net.AddressInfo).port;
    return accepted;
  },
  streams: netStreams,
  async keepAlive(port) {
    const socket = await open(port);
    const set = (idle: number) => void socket.setKeepAlive(true, idle, 10_000, 3);
    return { what: "socket.setKeepAlive(true, idle, interval, count)", set };
  },
};
