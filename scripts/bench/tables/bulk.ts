/**
 * Bulk transfer one way and both ways, with a limit on every call.
 *
 * @module
 */

import { connect, type TcpConnection } from "../../../mod.ts";
import type { Contest } from "../measure.ts";
import { round } from "../peer.ts";
import { type Row, throughputRows } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Bulk transfer, 64 KiB writes, a limit on every call";

const data = new Uint8Array(65_536).fill(7);

async function take(conn: TcpConnection, size: number, into: Uint8Array): Promise<void> {
  for (let got = 0; got < size;) got += (await conn.read(into))!;
}

async function put(conn: TcpConnection, size: number): Promise<void> {
  for (let sent = 0; sent < size; sent += data.length) await conn.write(data);
}

async function contests({ peer, raw }: Tools): Promise<Contest[]> {
  const { sink, source, echo } = peer.ports;
  const dial = (port: number) => connect({ hostname: "127.0.0.1", port, timeout: 30_000 });
  const into = new Uint8Array(65_536);

  const rawSend = await raw.send(sink, data);
  const rawReceive = await raw.receive(source);
  const rawBoth = await raw.both(echo, data);
  const sending = await dial(sink);
  const receiving = await dial(source);
  const both = await dial(echo);
  const pairs: [what: string, raw: () => Promise<unknown>, ours: () => Promise<unknown>][] = [
    ["sending", () => rawSend(round), async () => {
      await put(sending, round);
      await take(sending, 1, into);
    }],
    ["receiving", () => rawReceive(round), async () => {
      await receiving.write(new Uint8Array(1));
      await take(receiving, round, into);
    }],
    [
      "both ways",
      () => rawBoth(round),
      () => Promise.all([put(both, round), take(both, round, into)]),
    ],
  ];
  return pairs.map(([what, rawRun, run]) => ({
    sides: [{ name: `raw ${raw.style}`, run: rawRun }, { name: what, run }],
    // MiB.
    operations: round / 1_048_576,
  }));
}

/** Both ways. */
export async function contest(tools: Tools): Promise<Contest> {
  return (await contests(tools)).at(-1)!;
}

export async function run(tools: Tools): Promise<Row[]> {
  return throughputRows(await contests(tools), tools.rounds(15), 0.97);
}
