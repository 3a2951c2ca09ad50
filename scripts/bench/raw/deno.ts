/**
 * `Deno.connect` and `Deno.listen`.
 *
 * @module
 */

import type { Bare, Raw, RawListener, Streams } from "./api.ts";

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

const { Deno } = globalThis as unknown as {
  Deno: {
    connect(options: { hostname: string; port: number }): Promise<Conn>;
    listen(options: { hostname: string; port: number }): Listener;
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
    const conns = await Promise.all(Array.from({ length: count }, () => dial(port)));
    const trip = async (conn: Conn, trips: number) => {
      const into = new Uint8Array(data.length);
      for (let i = 0; i < trips; i++) {
        await conn.write(data);
        for (let got = 0; got < data.length;) got += (await conn.read(into))!;
      }
    };
    return (trips) => Promise.all(conns.map((conn) => trip(conn, trips)));
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
  streams: dial,
  async keepAlive(port) {
    const conn = await dial(port);
    return { what: "conn.setKeepAlive(true), no values", set: () => conn.setKeepAlive(true) };
  },
};
