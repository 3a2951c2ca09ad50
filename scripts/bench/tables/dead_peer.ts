/**
 * 10,000 connections with `deadPeerTimeout`: idle, and each with data in flight.
 *
 * @module
 */

import { constants } from "../../../src/kernel/constants.ts";
import { openListening } from "../../../src/kernel/listening.ts";
import { connect, type ConnectOptions, type TcpConnection } from "../../../mod.ts";
import { kernelFor } from "../../../src/options/support.ts";
import { timers } from "../../../src/time/timers.ts";
import { cpuTime } from "../measure.ts";
import { type Row, valueRow } from "../row.ts";
import type { Tools } from "../worker.ts";

const deadPeerTimeout = 10_000;

export const title: string = `10,000 connections with deadPeerTimeout ${deadPeerTimeout}`;

const count = 10_000;
/** Every connection is looked at about once in `deadPeerTimeout`. */
const duration = 2 * deadPeerTimeout;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Sockets that listen and never accept, with a small window: what is written to them stays. */
function openDeaf(): { fds: number[]; ports: number[] } {
  const kernel = kernelFor("bench");
  const fds: number[] = [];
  const ports: number[] = [];
  // Their queues together are long enough; the kernel's limit is 4,096 for each.
  for (let i = 0; i < 3; i++) {
    const fd = openListening(kernel, {
      hostname: "127.0.0.1",
      port: 0,
      reuseAddress: true,
      reusePort: false,
      ipv6Only: undefined,
      backlog: 4_000,
      fd: undefined,
    }, "127.0.0.1");
    const size = new Uint8Array(new Int32Array([4_096]).buffer);
    kernel.setsockopt(fd, constants.SOL_SOCKET!, constants.SO_RCVBUF!, size);
    const address = new Uint8Array(28);
    kernel.getsockname(fd, address);
    fds.push(fd);
    ports.push(address[2]! << 8 | address[3]!);
  }
  return { fds, ports };
}

async function open(
  ports: number[],
  options: Partial<ConnectOptions>,
): Promise<TcpConnection[]> {
  const all: TcpConnection[] = [];
  while (all.length < count) {
    const port = ports[all.length % ports.length]!;
    const one = () => connect({ hostname: "127.0.0.1", port, timeout: null, ...options });
    all.push(...await Promise.all(Array.from({ length: 100 }, one)));
  }
  return all;
}

/** Percent of one core that this process uses. */
async function load(): Promise<number> {
  const [cpu, wall] = [cpuTime(), performance.now()];
  await sleep(duration);
  return (cpuTime() - cpu) / (performance.now() - wall) / 10;
}

/** Alarms while idle, then the load with data in flight. */
async function watched(options: Partial<ConnectOptions>): Promise<{ idle: number; busy: number }> {
  const { fds, ports } = openDeaf();
  const before = timers.size;
  const all = await open(ports, options);
  const idle = timers.size - before;
  for (const socket of all) socket.write(new Uint8Array(16_384)).catch(() => {});
  // The first look at a connection finds its descriptor; what counts are the looks after it.
  await sleep(deadPeerTimeout + 3_000);
  const busy = await load();
  for (const socket of all) socket.reset();
  for (const fd of fds) kernelFor("bench").close(fd);
  await sleep(1_000);
  return { idle, busy };
}

export async function run(_tools: Tools): Promise<Row[]> {
  const without = await watched({});
  const with_ = await watched({ deadPeerTimeout });
  return [
    valueRow("alarms while idle", "", [with_.idle], { most: 0 }),
    valueRow("data in flight, above no watch", "% of a core", [with_.busy - without.busy], {
      most: 1,
    }),
    valueRow("data in flight, no watch", "% of a core", [without.busy]),
  ];
}
