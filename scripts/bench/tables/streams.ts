/**
 * Web streams, bulk, under a limit, beside the runtime's own for its sockets.
 *
 * @module
 */

import { connect } from "../../../mod.ts";
import type { Contest } from "../measure.ts";
import { round } from "../peer.ts";
import type { Streams } from "../raw/api.ts";
import { type Row, throughputRows } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Web streams of a connection, bulk";

const data = new Uint8Array(65_536).fill(7);

async function take(reader: ReadableStreamDefaultReader<Uint8Array>, size: number): Promise<void> {
  for (let got = 0; got < size;) got += (await reader.read()).value!.length;
}

async function put(writer: WritableStreamDefaultWriter<Uint8Array>): Promise<void> {
  for (let sent = 0; sent < round; sent += data.length) await writer.write(data);
}

function send({ readable, writable }: Streams): () => Promise<void> {
  const [reader, writer] = [readable.getReader(), writable.getWriter()];
  return async () => {
    await put(writer);
    await take(reader, 1);
  };
}

function receive({ readable, writable }: Streams): () => Promise<void> {
  const [reader, writer] = [readable.getReader(), writable.getWriter()];
  return async () => {
    await writer.write(new Uint8Array(1));
    await take(reader, round);
  };
}

/** Writing, then reading. */
async function contests({ peer, raw, runtime }: Tools): Promise<Contest[]> {
  const own = runtime === "deno" ? "conn.readable, conn.writable" : "Duplex.toWeb(net.Socket)";
  const all: Contest[] = [];
  for (
    const [what, port, start] of [
      ["writable", peer.ports.sink, send],
      ["readable", peer.ports.source, receive],
    ] as const
  ) {
    const ours = await connect({ hostname: "127.0.0.1", port, timeout: 30_000 });
    all.push({
      sides: [
        { name: own, run: start(await raw.streams(port)) },
        { name: what, run: start(ours) },
      ],
      // MiB.
      operations: round / 1_048_576,
    });
  }
  return all;
}

/** Reading. */
export async function contest(tools: Tools): Promise<Contest> {
  return (await contests(tools)).at(-1)!;
}

export async function run(tools: Tools): Promise<Row[]> {
  return throughputRows(await contests(tools), tools.rounds(15), 1);
}
