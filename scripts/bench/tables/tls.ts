/** Echo over TLS and the memory of its connections, beside the runtime's own TLS sockets. */

import process from "node:process";
import type { TcpConnection } from "../../../mod.ts";
import { ca } from "../../../tests/support/certificate.ts";
import { data, dial, echoing } from "../echoing.ts";
import { compare, type Contest, sleep } from "../measure.ts";
import { collect } from "../memory.ts";
import { many } from "../peer.ts";
import type { Bare } from "../raw/api.ts";
import { cpuRow, type Row, row } from "../row.ts";
import type { Tools } from "../worker.ts";
import { besides } from "./echo.ts";

export const title = "TLS 1.3 beside the runtime's own TLS sockets, a limit on every call";

const count = 64;
const trips = 100;
/** Idle connections of each side. */
const idle = 1_500;

/** Opens a connection with TLS. */
export const dialTls = (port: number): Promise<TcpConnection> => dial(port, { tls: { ca } });

/** Echo round trips. */
export async function contest({ peer: { ports }, raw }: Tools): Promise<Contest> {
  const theirs = await raw.secure.echo(ports.tlsEcho, count, data);
  const sides = [
    { name: `raw ${raw.style}`, run: () => theirs.run(trips) },
    await echoing("echo", [count, trips], () => dialTls(ports.tlsEcho)),
  ];
  for (const name of besides(raw)) {
    sides.push(await echoing(name, [count, trips], () => raw.secure.dial(ports.tlsEcho)));
  }
  return { sides, operations: count * trips };
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
  await many(idle, async () => {
    const conn = await dial();
    conn.read(new Uint8Array(64)).catch(() => {});
  });
  return (await resident() - before) / idle / 1_024;
}

export async function run(tools: Tools): Promise<Row[]> {
  const { peer: { ports }, raw, rounds } = tools;
  const { tlsSink: sink } = ports;
  const own = `raw ${raw.style}`;
  // First of all, since memory that was used before would be used again.
  const ways = [() => raw.secure.dial(sink), () => dialTls(sink)] as const;
  for (const way of ways) await many(30, way);
  const [theirs, ours] = [await growth(ways[0]), await growth(ways[1])];
  const costs = await compare(await contest(tools), { rounds: rounds(15), warmup: 4 });
  return [
    cpuRow(costs, ["echo", own, "us CPU"], { most: 1.1 }),
    ...besides(raw).map((name) => cpuRow(costs, ["echo", name, "us CPU"])),
    row(["idle connection, resident", own, "KiB"], [ours], [theirs]),
  ];
}
