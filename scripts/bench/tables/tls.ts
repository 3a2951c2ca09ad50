/** Echo over TLS and the memory of its connections, beside the runtime's own TLS sockets. */

import process from "node:process";
import type { TcpConnection } from "../../../mod.ts";
import { ca } from "../../../tests/support/certificate.ts";
import { besides, dial, echoContest } from "../operations.ts";
import { compare, type Contest, sleep } from "../measure.ts";
import { collect, openReading } from "../memory.ts";
import { many } from "../peer.ts";
import type { Bare } from "../raw/api.ts";
import { cpuRow, type Row, row } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "TLS 1.3 beside the runtime's own TLS sockets, a limit on every call";

/** Idle connections of each side. */
const idle = 1_500;

/** Opens a connection with TLS. */
export const dialTls = (port: number): Promise<TcpConnection> => dial(port, { tls: { ca } });

/** Echo round trips. */
export function contest({ peer: { ports }, raw: { secure, style } }: Tools): Promise<Contest> {
  return echoContest("echo", [64, 100], ports.tlsEcho, { bytes: secure, style }, dialTls);
}

/** KiB by which each connection makes the process grow. All stay open. */
async function growth(dial: () => Promise<Bare>): Promise<number> {
  const resident = async () => {
    for (let i = 0; i < 4; i++) {
      collect();
      await sleep(50);
    }
    return process.memoryUsage().rss;
  };
  const before = await resident();
  await openReading(idle, dial);
  return (await resident() - before) / idle / 1_024;
}

export async function run(tools: Tools): Promise<Row[]> {
  const { peer: { ports }, raw, rounds } = tools;
  const { tlsSink: sink } = ports;
  // First of all, since memory that was used before would be used again.
  const ways = [() => raw.secure.dial(sink), () => dialTls(sink)] as const;
  for (const way of ways) await many(30, way);
  const [theirs, ours] = [await growth(ways[0]), await growth(ways[1])];
  const costs = await compare(await contest(tools), { rounds: rounds(15), warmup: 4 });
  return [
    ...besides(raw).map((name, i) => cpuRow(costs, ["echo", name], [{ most: 1.1 }][i])),
    row(["idle connection, resident", `raw ${raw.style}`, "KiB"], [ours], [theirs]),
  ];
}
