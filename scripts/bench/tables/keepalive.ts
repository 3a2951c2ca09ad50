/**
 * Setting keepalive of an open socket, with all three values. Values change with every call, since Node's
 * own setter does nothing for values that it has set before.
 */

import type net from "node:net";
import { dial } from "../operations.ts";
import { compare, type Side } from "../measure.ts";
import { dialNet } from "../raw/callback.ts";
import { keepAliveCalls } from "../raw/keep_alive.ts";
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

/** The packages take Node's sockets only. */
async function packages({ load, peer }: Tools): Promise<Side[]> {
  const socket = await dialNet(peer.ports.echo);
  const keepAlive = await load<NetKeepAlive>("net-keepalive");
  const { setsockopt } = await load<Sockopt>("sockopt");
  const [minute, longer] = [60, 61].map(keepAliveCalls);
  return [
    side("npm net-keepalive", (idle) => {
      socket.setKeepAlive(true, idle);
      keepAlive.setKeepAliveInterval(socket, 10_000);
      keepAlive.setKeepAliveProbes(socket, 3);
    }),
    side("npm sockopt", (idle) => {
      for (const call of (idle === 60_000 ? minute : longer)!) setsockopt(socket, ...call);
    }),
  ];
}

export async function run(tools: Tools): Promise<Row[]> {
  const { peer, raw, rounds, runtime } = tools;
  const port = peer.ports.echo;
  const connection = await dial(port);
  const native = await raw.keepAlive(port);
  const others = runtime === "node" ? await packages(tools) : [];
  const sides = [
    side(native.what, native.set),
    side(
      "connection.setKeepAlive",
      (idle) => connection.setKeepAlive({ idle, interval: 10_000, count: 3 }),
    ),
    ...others,
  ];
  const contest = { sides, operations: calls };
  const costs = await compare(contest, { rounds: rounds(15), warmup: 5 });
  const row = (against: string, goal?: Row["goal"]) =>
    cpuRow(costs, ["connection.setKeepAlive", against], goal);
  return [
    row(native.what, runtime === "node" ? { most: 1.5 } : undefined),
    ...others.map(({ name }) => row(name, { below: 1 })),
  ];
}
