/** Connections of this library, and operations of several tables, on these and on raw ones. */

import { connect, type ConnectOptions, type TcpConnection } from "../../mod.ts";
import type { Side } from "./measure.ts";
import type { Bare } from "./raw/api.ts";

/** A connection with a limit on every call. */
export function dial(
  port: number,
  options: Partial<ConnectOptions> = {},
): Promise<TcpConnection> {
  return connect({ hostname: "127.0.0.1", port, timeout: 30_000, ...options });
}

/** The bytes that a round trip sends and gets back. */
export const data: Uint8Array = new Uint8Array(64).fill(7);

/** The chunk that a bulk transfer sends again and again. */
export const chunk: Uint8Array = new Uint8Array(65_536).fill(7);

export async function take(conn: Bare, size: number, into: Uint8Array): Promise<void> {
  for (let got = 0; got < size;) got += (await conn.read(into))!;
}

/** Round trips one after the other on one connection. */
export async function trip(conn: Bare, times: number): Promise<void> {
  const into = new Uint8Array(data.length);
  for (let i = 0; i < times; i++) {
    await conn.write(data);
    // Not by `take`, whose promise would add to the cost of every trip.
    for (let got = 0; got < data.length;) got += (await conn.read(into))!;
  }
}

/** A side with `count` connections that do `trips` round trips each, all at the same time. */
export async function echoing(
  name: string,
  [count, trips]: [count: number, trips: number],
  dial: () => Promise<Bare>,
): Promise<Side> {
  const conns = await Promise.all(Array.from({ length: count }, dial));
  return { name, run: () => Promise.all(conns.map((conn) => trip(conn, trips))) };
}
