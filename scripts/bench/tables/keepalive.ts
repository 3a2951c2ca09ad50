/**
 * Keepalive of an open socket, with all three values. Values change with every call, since Node's own
 * setter does nothing when asked for the same again.
 *
 * @module
 */

import net from "node:net";
import { connect } from "../../../mod.ts";
import { compare, type Side } from "../measure.ts";
import { cpuRow, type Row } from "../row.ts";
import type { Tools } from "../worker.ts";

export const title = "Setting keepalive idle, interval and count on an open socket";

const calls = 2_000;

interface NetKeepAlive {
  setKeepAliveInterval(socket: net.Socket, ms: number): boolean;
  setKeepAliveProbes(socket: net.Socket, count: number): boolean;
}

interface Sockopt {
  setsockopt(socket: net.Socket, level: number, name: number, value: number): void;
}

function side(name: string, set: (idle: number) => unknown): Side {
  const run = () => {
    for (let i = 0; i < calls; i++) set(i % 2 === 0 ? 60_000 : 61_000);
    return Promise.resolve();
  };
  return { name, run };
}

/** The packages do Node's sockets only. */
async function packages({ load, peer }: Tools): Promise<Side[]> {
  const socket = net.connect(peer.ports.echo, "127.0.0.1");
  await new Promise((resolve) => socket.once("connect", resolve));
  const keepAlive = await load<NetKeepAlive>("net-keepalive");
  const { setsockopt } = await load<Sockopt>("sockopt");
  const [SOL_SOCKET, SO_KEEPALIVE] = [1, 9];
  const [SOL_TCP, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT] = [6, 4, 5, 6];
  return [
    side("npm net-keepalive", (idle) => {
      socket.setKeepAlive(true, idle);
      keepAlive.setKeepAliveInterval(socket, 10_000);
      keepAlive.setKeepAliveProbes(socket, 3);
    }),
    side("npm sockopt", (idle) => {
      setsockopt(socket, SOL_TCP, TCP_KEEPIDLE, idle / 1_000);
      setsockopt(socket, SOL_TCP, TCP_KEEPINTVL, 10);
      setsockopt(socket, SOL_TCP, TCP_KEEPCNT, 3);
      setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
    }),
  ];
}

export async function run(tools: Tools): Promise<Row[]> {
  const { peer, raw, rounds, runtime } = tools;
  const port = peer.ports.echo;
  const connection = await connect({ hostname: "127.0.0.1", port, timeout: 30_000 });
  const native = await raw.keepAlive(port);
  // `process.platform` other than linux has other numbers than those below.
  const others = runtime === "node" ? await packages(tools) : [];
  const sides = [
    side(native.what, native.set),
    side(
      "connection.setKeepAlive",
      (idle) => connection.setKeepAlive({ idle, interval: 10_000, count: 3 }),
    ),
    ...others,
  ];
  const costs = await compare(sides, { operations: calls, rounds: rounds(31), warmup: 5 });
  const row = (against: string, goal?: Row["goal"]) =>
    cpuRow(costs, "connection.setKeepAlive", against, "us CPU", goal);
  return [
    row(native.what, runtime === "node" ? { most: 1.5 } : undefined),
    ...others.map(({ name }) => row(name, { below: 1 })),
  ];
}
