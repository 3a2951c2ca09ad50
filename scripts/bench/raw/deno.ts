/** `Deno.connect` and `Deno.listen`. */

import { keeping, take, trip } from "../operations.ts";
import { many } from "../peer.ts";
import { ca } from "../../../tests/support/certificate.ts";
import type { Raw, RawBytes, Streams } from "./api.ts";
import { setKeepAlive, type Setsockopt } from "./keep_alive.ts";

interface Conn extends Streams {
  read(into: Uint8Array): Promise<number | null>;
  write(data: Uint8Array): Promise<number>;
  close(): void;
  setNoDelay(on: boolean): void;
  setKeepAlive(on: boolean): void;
}

const { Deno } = globalThis as unknown as {
  Deno: {
    connect(options: { hostname: string; port: number }): Promise<Conn>;
    connectTls(
      options: { hostname: string; port: number; caCerts: string[] },
    ): Promise<Conn & { handshake(): Promise<unknown> }>;
    listen(options: object): { readonly addr: { port: number }; accept(): Promise<Conn> };
    dlopen(file: string, symbols: object): {
      symbols: { setsockopt: Setsockopt } & Record<"dup" | "close", (fd: number) => number>;
    };
  };
};

async function dial(port: number): Promise<Conn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay(true);
  return conn;
}

async function dialTls(port: number): Promise<Conn> {
  const conn = await Deno.connectTls({ hostname: "127.0.0.1", port, caCerts: [ca] });
  await conn.handshake();
  return conn;
}

/** With `dial`, which opens a connection. */
const bytes = (dial: (port: number) => Promise<Conn>): RawBytes => ({
  dial,
  async echo(port, count) {
    const conns = await many(count, () => dial(port));
    return {
      run: (trips) => Promise.all(conns.map((conn) => trip(conn, trips))),
      close: () => conns.forEach((conn) => conn.close()),
    };
  },
  async transfer(port, data) {
    const conn = await dial(port);
    const into = new Uint8Array(65_536);
    const put = async (size: number) => {
      for (let sent = 0; sent < size;) sent += await conn.write(data.subarray(sent % data.length));
    };
    return (toSend, toTake) => Promise.all([put(toSend), take(conn, toTake, into)]);
  },
});

export const raw: Raw = {
  style: "await",
  ...bytes(dial),
  secure: bytes(dialTls),
  async connectClose(port) {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
  },
  async connectSetClose(port) {
    const { setsockopt, dup, close } = Deno.dlopen("libc.so.6", {
      setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
      dup: { parameters: ["i32"], result: "i32" },
      close: { parameters: ["i32"], result: "i32" },
    }).symbols;
    // Deno shows no descriptors. So all calls use that of one connection that stays open, where they cost
    // the same: it got the lowest free number.
    const fd = dup(2);
    close(fd);
    await dial(port);
    return async () => {
      const conn = await dial(port);
      setKeepAlive(setsockopt, fd);
      conn.close();
    };
  },
  listen: () => Promise.resolve(keeping(Deno.listen({ hostname: "127.0.0.1", port: 0 }))),
  leastRead(conn, into) {
    // Deno cannot cancel a read, so giving it up takes memory of its own and another promise.
    const own = new Uint8Array(1_024);
    return new Promise((resolve, reject) => {
      conn.read(own).then((size) => {
        into.set(own.subarray(0, size ?? 0));
        resolve(size);
      }, reject);
    });
  },
  streams: dial,
  async keepAlive(port) {
    const conn = await dial(port);
    return { what: "conn.setKeepAlive(true), no values", set: () => conn.setKeepAlive(true) };
  },
};
