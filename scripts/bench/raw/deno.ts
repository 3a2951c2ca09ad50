/**
 * `Deno.connect` and `Deno.listen`.
 *
 * @module
 */

import { many } from "../peer.ts";
import type { Bare, Raw, RawListener, Streams } from "./api.ts";
import { setKeepAlive, type Setsockopt } from "./keep_alive.ts";

interface Conn extends Streams {
  read(into: Uint8Array): Promise<number | null>;
  write(data: Uint8Array): Promise<number>;
  close(): void;
  setNoDelay(on: boolean): void;
  setKeepAlive(on: boolean): void;
}

interface Listener {
  readonly addr: { port: number };
  accept(): Promise<Conn>;
  close(): void;
}

interface Libc {
  setsockopt: Setsockopt;
  dup(fd: number): number;
  close(fd: number): number;
}

const { Deno } = globalThis as unknown as {
  Deno: {
    connect(options: { hostname: string; port: number }): Promise<Conn>;
    listen(options: { hostname: string; port: number }): Listener;
    dlopen(file: string, symbols: object): { symbols: Libc };
  };
};

async function dial(port: number): Promise<Conn> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay(true);
  return conn;
}

async function writeAll(conn: Bare, data: Uint8Array): Promise<void> {
  let sent = await conn.write(data) as number;
  while (sent < data.length) sent += await conn.write(data.subarray(sent)) as number;
}

async function take(conn: Bare, size: number, into: Uint8Array): Promise<void> {
  for (let got = 0; got < size;) got += (await conn.read(into))!;
}

async function put(conn: Bare, size: number, data: Uint8Array): Promise<void> {
  for (let sent = 0; sent < size; sent += data.length) await writeAll(conn, data);
}

export const raw: Raw = {
  style: "await",
  dial,
  async echo(port, count, data) {
    const conns = await many(count, () => dial(port));
    const trip = async (conn: Conn, trips: number) => {
      const into = new Uint8Array(data.length);
      for (let i = 0; i < trips; i++) {
        await conn.write(data);
        for (let got = 0; got < data.length;) got += (await conn.read(into))!;
      }
    };
    return {
      run: (trips) => Promise.all(conns.map((conn) => trip(conn, trips))),
      close: () => conns.forEach((conn) => conn.close()),
    };
  },
  async send(port, data) {
    const conn = await dial(port);
    return async (size) => {
      await put(conn, size, data);
      await take(conn, 1, new Uint8Array(1));
    };
  },
  async receive(port) {
    const conn = await dial(port);
    const into = new Uint8Array(65_536);
    return async (size) => {
      await conn.write(new Uint8Array(1));
      await take(conn, size, into);
    };
  },
  async both(port, data) {
    const conn = await dial(port);
    const into = new Uint8Array(65_536);
    return (size) => Promise.all([put(conn, size, data), take(conn, size, into)]);
  },
  async connectClose(port) {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
  },
  async connectSetClose(port) {
    const { setsockopt, dup, close } = Deno.dlopen("libc.so.6", {
      setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
      dup: { parameters: ["i32"], result: "i32" },
      close: { parameters: ["i32"], result: "i32" },
    }).symbols;
    // Deno shows no descriptor. All calls go to that of one connection, which stays open: the lowest
    // that was free. They cost the same there.
    const fd = dup(2);
    close(fd);
    await dial(port);
    return async () => {
      const conn = await dial(port);
      setKeepAlive(setsockopt, fd);
      conn.close();
    };
  },
  listen(): Promise<RawListener> {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const accepted: Conn[] = [];
    return Promise.resolve({
      port: listener.addr.port,
      async accept(count) {
        for (let i = 0; i < count; i++) accepted.push(await listener.accept());
      },
      drop() {
        for (const conn of accepted.splice(0)) conn.close();
      },
      close: () => listener.close(),
    });
  },
  leastRead(conn, into) {
    // Deno cannot cancel a read: it needs memory of its own, and another promise to give up.
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
