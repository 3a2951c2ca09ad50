/** Bulk transfer one way and both ways, with a limit on every call. */

import type { TcpConnection } from "../../../mod.ts";
import { chunk, dial, take } from "../operations.ts";
import type { Contest } from "../measure.ts";
import { round } from "../peer.ts";
import type { Bare, RawBytes } from "../raw/api.ts";
import type { Tools } from "../worker.ts";

export const title = "Bulk transfer, 64 KiB writes, a limit on every call";
export const rounds = 15;

const one = new Uint8Array(1);
const into = new Uint8Array(65_536);

async function put(conn: Bare): Promise<void> {
  for (let sent = 0; sent < round; sent += chunk.length) await conn.write(chunk);
}

/** What is sent to which port, how much is sent and read, and how this library does it. */
type Way = [what: string, data: Uint8Array, size: [send: number, take: number], ours: Ours];
type Ours = (conn: Bare) => Promise<unknown>;

const ways: Record<"sink" | "source" | "echo", Way> = {
  sink: ["sending", chunk, [round, 1], async (conn) => {
    await put(conn);
    await take(conn, 1, into);
  }],
  source: ["receiving", one, [1, round], async (conn) => {
    await conn.write(one);
    await take(conn, round, into);
  }],
  echo: [
    "both ways",
    chunk,
    [round, round],
    (conn) => Promise.all([put(conn), take(conn, round, into)]),
  ],
};

export function contests({ peer: { ports }, raw }: Tools): Promise<Contest[]> {
  return transfers(ports, raw, raw.style, dial);
}

/** A contest for each way. `ports` are those of the other end, `raw` and `dial` open connections. */
export async function transfers(
  ports: Record<"sink" | "source" | "echo", number>,
  raw: RawBytes,
  style: string,
  dial: (port: number) => Promise<TcpConnection>,
): Promise<Contest[]> {
  const all: Contest[] = [];
  for (const end of ["sink", "source", "echo"] as const) {
    const [name, data, size, ours] = ways[end];
    const transfer = await raw.transfer(ports[end], data);
    const conn = await dial(ports[end]);
    const sides = [
      { name: `raw ${style}`, run: () => transfer(...size) },
      { name, run: () => ours(conn) },
    ];
    if (style === "callback") {
      const bare = await raw.dial(ports[end]);
      sides.push({ name: "bare promises", run: () => ours(bare) });
    }
    // MiB.
    all.push({ sides, operations: round / 1_048_576 });
  }
  return all;
}
