/** Bulk transfer over web streams with a limit, compared with the runtime's own streams. */

import { chunk, dial } from "../operations.ts";
import type { Contest } from "../measure.ts";
import { round } from "../peer.ts";
import type { Streams } from "../raw/api.ts";
import type { Tools } from "../worker.ts";

export const title = "Web streams of a connection, bulk";
export const rounds = 20;

/** Sends `size` bytes in chunks of `data`, then reads the reply of `reply` bytes. */
function transfer({ readable, writable }: Streams, data: Uint8Array, size: number, reply: number) {
  const [reader, writer] = [readable.getReader(), writable.getWriter()];
  return async () => {
    for (let sent = 0; sent < size; sent += data.length) await writer.write(data);
    for (let got = 0; got < reply;) got += (await reader.read()).value!.length;
  };
}

const send = (streams: Streams) => transfer(streams, chunk, round, 1);
const receive = (streams: Streams) => transfer(streams, new Uint8Array(1), 1, round);

/** Measures writing, then reading. */
export async function contests({ peer, raw, runtime }: Tools): Promise<Contest[]> {
  const own = runtime === "deno" ? "conn.readable, conn.writable" : "Duplex.toWeb(net.Socket)";
  const contest = async (name: string, port: number, start: typeof send): Promise<Contest> => ({
    sides: [
      { name: own, run: start(await raw.streams(port)) },
      { name, run: start(await dial(port)) },
    ],
    // MiB.
    operations: round / 1_048_576,
  });
  return [
    await contest("writable", peer.ports.sink, send),
    await contest("readable", peer.ports.source, receive),
  ];
}
