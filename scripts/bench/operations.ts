/** What tables do with connections: open, accept and use them, those of this library and raw ones. */

import {
  connect,
  type ConnectOptions,
  listen,
  type ListenSettings,
  type TcpConnection,
} from "../../mod.ts";
import type { Contest, Side } from "./measure.ts";
import type { Bare, Raw, RawBytes, RawListener } from "./raw/api.ts";

/** A connection with a limit on every call. */
export function dial(
  port: number,
  options: Partial<ConnectOptions> = {},
): Promise<TcpConnection> {
  return connect({ hostname: "127.0.0.1", port, timeout: 30_000, ...options });
}

/** A listener of this library. */
export async function listening(
  options: Partial<ListenSettings>,
): Promise<RawListener> {
  return keeping(await listen({ hostname: "127.0.0.1", port: 0, timeout: 30_000, ...options }));
}

/** A listener that keeps the connections that it has accepted. */
export function keeping(
  listener: { addr: { port: number }; accept(): Promise<{ close(): void }> },
): RawListener {
  const accepted: { close(): void }[] = [];
  return {
    port: listener.addr.port,
    async accept(count) {
      for (let i = 0; i < count; i++) accepted.push(await listener.accept());
    },
    drop() {
      for (const connection of accepted.splice(0)) connection.close();
    },
  };
}

/** Does `action` again and again, in so many lanes at the same time and so often in each. */
export async function inLanes(
  [lanes, times]: [lanes: number, times: number],
  action: () => Promise<unknown>,
): Promise<void> {
  await Promise.all(Array.from({ length: lanes }, async () => {
    for (let i = 0; i < times; i++) await action();
  }));
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

/** The sides with which an echo is compared. In Deno the raw API itself has promises. */
export function besides({ style }: Pick<Raw, "style">): string[] {
  return [`raw ${style}`, ...style === "await" ? [] : ["bare promises"]];
}

/** An echo by the name `what`, whose connections `dial` opens, beside the runtime's own to the same port. */
export async function echoContest(
  what: string,
  [count, trips]: [count: number, trips: number],
  port: number,
  { bytes, style }: { bytes: RawBytes; style: Raw["style"] },
  dial: (port: number) => Promise<Bare>,
): Promise<Contest> {
  const theirs = await bytes.echo(port, count, data);
  const [raw = "", ...others] = besides({ style });
  const sides = [
    { name: raw, run: () => theirs.run(trips) },
    await echoing(what, [count, trips], () => dial(port)),
  ];
  for (const name of others) {
    sides.push(await echoing(name, [count, trips], () => bytes.dial(port)));
  }
  return { sides, operations: count * trips };
}
