/**
 * Round trips over promises, for every table that has them.
 *
 * @module
 */

import type { Side } from "./measure.ts";
import type { Bare } from "./raw/api.ts";

/** What is sent and comes back. */
export const data: Uint8Array = new Uint8Array(64).fill(7);

/** Round trips one after the other on one connection. */
export async function trip(conn: Bare, times: number): Promise<void> {
  const into = new Uint8Array(data.length);
  for (let i = 0; i < times; i++) {
    await conn.write(data);
    for (let got = 0; got < data.length;) got += (await conn.read(into))!;
  }
}

/** A side with `count` connections that do `trips` round trips each, all at the same time. */
export async function echoing(
  name: string,
  [count, trips]: [count: number, trips: number],
  dial: () => Promise<Bare>,
  run: (conn: Bare, trips: number) => Promise<void> = trip,
): Promise<Side> {
  const conns = await Promise.all(Array.from({ length: count }, dial));
  return { name, run: () => Promise.all(conns.map((conn) => run(conn, trips))) };
}
