/** Real clients of real servers: how to open each, make a fast and a slow request, and close it. */

import { createRequire } from "node:module";
import process from "node:process";

/** A client that is connected and has had an answer. */
export interface Opened {
  request(): Promise<unknown>;
  /** Makes a request that is answered late. */
  slow(): Promise<unknown>;
  close(): unknown;
}

/** One kind of client. */
export interface Client {
  name: string;
  /** Which of the machine's ports it needs. */
  service: string;
  /** The server, if there is one. */
  runtimes: string;
  /** How often it dials again for a request that fails, at most. */
  repeats: number;
  open(host: string, port: number, slow: number): Promise<Opened> | Opened;
}

// deno-lint-ignore no-explicit-any
type Untyped = any;

/** Imports a package from where it is installed, without its types. */
const load = (name: string): Untyped => createRequire(`${process.env["HOLDFAST_CLIENTS"]}/`)(name);

const { Bun } = globalThis as Untyped;

const fetching = (fetch: Untyped, host: string, port: number): Opened => {
  const get = async (path: string) => await (await fetch(`http://${host}:${port}${path}`)).text();
  return { request: () => get("/"), slow: () => get("/slow"), close() {} };
};

export const clients: Client[] = [
  {
    name: "fetch",
    service: "http",
    runtimes: "deno, bun, node",
    repeats: 1,
    open: (host, port) => fetching(fetch, host, port),
  },
  {
    name: "undici",
    service: "http",
    runtimes: "deno, node",
    repeats: 0,
    open: (host, port) => fetching(load("undici").fetch, host, port),
  },
  {
    name: "node:http2",
    service: "http2",
    runtimes: "deno, bun, node",
    repeats: 0,
    open(host, port) {
      const session = load("node:http2").connect(`http://${host}:${port}`);
      session.on("error", () => {});
      const get = (path: string) =>
        new Promise((resolve, reject) => {
          const stream = session.request({ ":path": path });
          session.once("error", reject);
          stream.on("error", reject).on("end", resolve).resume();
          stream.on("close", () => reject(new Error("the stream is closed")));
        });
      return { request: () => get("/"), slow: () => get("/slow"), close: () => session.destroy() };
    },
  },
  {
    name: "ws",
    service: "ws",
    runtimes: "deno, bun, node",
    repeats: 0,
    async open(host, port) {
      const { WebSocket } = load("ws");
      const socket = new WebSocket(`ws://${host}:${port}`);
      await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
      socket.on("error", () => {});
      const ask = (text: string) =>
        new Promise((resolve, reject) => {
          socket.once("close", () => reject(new Error("closed")));
          socket.once("message", resolve);
          socket.send(text);
        });
      return {
        request: () => ask("hello"),
        slow: () => ask("slow"),
        close: () => socket.terminate(),
      };
    },
  },
  {
    name: "@grpc/grpc-js",
    service: "grpc",
    runtimes: "deno, bun, node",
    repeats: 0,
    open(host, port) {
      const grpc = load("@grpc/grpc-js");
      const client = new grpc.Client(`${host}:${port}`, grpc.credentials.createInsecure());
      const ask = (text: string) =>
        new Promise((resolve, reject) => {
          client.makeUnaryRequest(
            "/test.Test/Echo",
            (text: string) => Buffer.from(text),
            (bytes: Uint8Array) => new TextDecoder().decode(bytes),
            text,
            (error: unknown, value: unknown) => error ? reject(error) : resolve(value),
          );
        });
      return { request: () => ask("hello"), slow: () => ask("slow"), close: () => client.close() };
    },
  },
  {
    name: "ioredis",
    service: "redis",
    runtimes: "deno, bun, node",
    repeats: 0,
    open(host, port, slow) {
      const { Redis } = load("ioredis");
      const redis = new Redis({ host, port, retryStrategy: () => null });
      redis.on("error", () => {});
      return {
        request: () => redis.ping(),
        slow: () => redis.blpop("nothing", slow / 1_000),
        close: () => redis.disconnect(),
      };
    },
  },
  {
    name: "Bun.redis",
    service: "redis",
    runtimes: "bun",
    repeats: 0,
    open(host, port, slow) {
      const redis = new Bun.RedisClient(`redis://${host}:${port}`, { autoReconnect: false });
      return {
        request: () => redis.ping(),
        slow: () => redis.send("BLPOP", ["nothing", String(slow / 1_000)]),
        close: () => redis.close(),
      };
    },
  },
  {
    name: "pg",
    service: "postgres",
    runtimes: "deno, bun, node",
    repeats: 0,
    open(host, port, slow) {
      const pool = new (load("pg").Pool)({
        host,
        port,
        user: "postgres",
        max: 1,
        idleTimeoutMillis: 0,
      });
      pool.on("error", () => {});
      return {
        request: () => pool.query("select 1"),
        slow: () => pool.query(`select pg_sleep(${slow / 1_000})`),
        close: () => void pool.end().catch(() => {}),
      };
    },
  },
  {
    name: "Bun.sql",
    service: "postgres",
    runtimes: "bun",
    repeats: 0,
    open(host, port, slow) {
      const sql = new Bun.SQL(`postgres://postgres@${host}:${port}/postgres`, { max: 1 });
      return {
        request: () => sql`select 1`.simple(),
        slow: () => sql.unsafe(`select pg_sleep(${slow / 1_000})`),
        close: () => void sql.close({ timeout: 0 }).catch(() => {}),
      };
    },
  },
  {
    name: "mysql2",
    service: "mysql",
    runtimes: "deno, bun, node",
    repeats: 0,
    open(host, port, slow) {
      const pool = load("mysql2/promise").createPool({
        host,
        port,
        user: "root",
        connectionLimit: 1,
      });
      return {
        request: () => pool.query("select 1"),
        slow: () => pool.query(`select sleep(${slow / 1_000})`),
        close: () => void pool.end().catch(() => {}),
      };
    },
  },
];

/** A server in the program under test, whose client is on the machine that vanishes. */
export interface OwnServer {
  name: string;
  runtimes: string;
  /** Starts a server that sends data without an end. Returns its port. */
  start(host: string): number;
}

const endless = () =>
  new Response(
    new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        controller.enqueue(new Uint8Array(1_000));
      },
    }),
  );

/** A request for `/quiet` is answered with one word, and the connection kept. */
const handle = (request: Request) =>
  request.url.endsWith("/quiet") ? new Response("hello") : endless();

export const ownServers: OwnServer[] = [
  {
    name: "Bun.serve",
    runtimes: "bun",
    start: (hostname) => Bun.serve({ hostname, port: 0, idleTimeout: 0, fetch: handle }).port,
  },
  {
    name: "Deno.serve",
    runtimes: "deno",
    start: (hostname) =>
      // deno-lint-ignore no-explicit-any
      (globalThis as any).Deno.serve({ hostname, port: 0, onListen() {} }, handle).addr.port,
  },
];
