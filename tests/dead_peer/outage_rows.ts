/**
 * Outages a little shorter than 3/4 of `deadPeerTimeout`. Each begins at the worst moment, when the peer
 * was last heard from as long ago as possible. None may end the connection.
 */

import type { TcpConnection } from "@holdfast/tcp";
import { sleep, streamBytes, until } from "../contract/support.ts";
import { keepAliveFor, probeInterval } from "../../src/options/probing.ts";
import type { Measured, Plan, Row } from "./row.ts";
import { alive, delivered } from "./rows.ts";

/** How long the commands that cut and heal take, and how exactly they start, ms. */
const margin = 250;

/** Waits until the next probe is about to leave. */
async function worstMoment(socket: TcpConnection, between: number): Promise<void> {
  const silence = () => socket.tcpInfo().lastAckReceived!;
  // A probe that was sent already does not count.
  await until(() => silence() < between / 2, "an answer", 15_000);
  await until(() => silence() >= between - 60, "a silence", 15_000);
}

/** The machine was too busy, which says nothing about the connection. */
class TooLong extends Error {}

/** Cuts the peer off, calls `meanwhile`, and heals. */
async function outage(row: Row, timeout: number, meanwhile?: () => unknown): Promise<void> {
  const start = performance.now();
  await row.gone();
  meanwhile?.();
  await sleep(start + 0.75 * timeout - margin - performance.now());
  await row.heal();
  const ms = performance.now() - start;
  if (ms >= 0.75 * timeout) throw new TooLong(`The outage took ${ms} ms: the machine is too busy`);
}

/** A row that is run again, twice at most, when the outage took too long. */
function short(name: string, run: Plan["run"]): Plan {
  const again = (left: number, row: Row): Promise<Measured> =>
    run(row).catch((error) => {
      if (left === 0 || !(error instanceof TooLong)) throw error;
      return again(left - 1, row);
    });
  return alive(name, (row) => again(2, row));
}

/** Asserts that the peer sends back what it gets. */
async function answers(row: Row, socket: TcpConnection, size: number): Promise<Measured> {
  const into = new Uint8Array(size);
  for (let got = 0; got < size;) {
    const count = await socket.read(into.subarray(got));
    if (count === null) throw new Error("The connection has ended");
    got += count;
  }
  return { ms: row.elapsed, error: "alive" };
}

const states: Record<string, (row: Row, deadPeerTimeout: number) => Promise<Measured>> = {
  "idle": async (row, deadPeerTimeout) => {
    using socket = await row.connect(7005, { deadPeerTimeout });
    const pending = answers(row, socket, 10);
    pending.catch(() => {});
    const { idle, interval } = keepAliveFor(deadPeerTimeout);
    await worstMoment(socket, idle);
    await outage(row, deadPeerTimeout);
    await sleep(2 * interval);
    await socket.write(new Uint8Array(10));
    return await pending;
  },
  "in flight": async (row, deadPeerTimeout) => {
    using socket = await row.connect(7005, { deadPeerTimeout });
    const pending = answers(row, socket, 1_000);
    pending.catch(() => {});
    await worstMoment(socket, keepAliveFor(deadPeerTimeout).idle);
    await outage(row, deadPeerTimeout, () => socket.write(new Uint8Array(1_000)));
    return await pending;
  },
  "closed window": async (row, deadPeerTimeout) => {
    using socket = await row.connect(7003, { deadPeerTimeout });
    const size = 1_000_000;
    const writing = socket.write(streamBytes(0, size));
    writing.catch(() => {});
    const interval = probeInterval(deadPeerTimeout);
    // By now the window has been closed for so long that the kernel probes at its longest interval.
    await sleep(2_000);
    await worstMoment(socket, Math.min(interval, 1_500));
    await outage(row, deadPeerTimeout);
    await sleep(interval + 500);
    return await delivered(row, socket, writing, size);
  },
  "writing every 200 ms": async (row, deadPeerTimeout) => {
    using socket = await row.connect(7005, { deadPeerTimeout });
    let over = false;
    let size = 0;
    const writing = (async () => {
      for (; !over; size += 100) {
        await socket.write(new Uint8Array(100));
        await sleep(200);
      }
    })();
    writing.catch(() => {});
    await sleep(500);
    await outage(row, deadPeerTimeout);
    over = true;
    await writing;
    return await answers(row, socket, size);
  },
};

/** How a connection ends during an outage, after which the peer must have everything. */
const endings: Record<string, (socket: TcpConnection) => unknown> = {
  "close()": (socket) => socket.close(),
  "both sides have finished": (socket) => socket.closeWrite(),
};

export const outageRows: Plan[] = [4_000, 10_000, 30_000].flatMap((timeout) => [
  ...Object.entries(states).map(([state, run]) =>
    short(named(state, timeout), (row) => run(row, timeout))
  ),
  ...Object.entries(endings).map(([state, end]) =>
    short(named(state, timeout), async (row) => {
      // The peer has finished.
      using socket = await row.connect(7006, { deadPeerTimeout: timeout });
      if (await socket.read(new Uint8Array(1)) !== null) throw new Error("The peer had finished");
      const size = 1_000;
      await outage(row, timeout, async () => {
        await socket.write(streamBytes(0, size));
        await end(socket);
      });
      return await delivered(row, undefined, undefined, size);
    })
  ),
]);

function named(state: string, timeout: number): string {
  return `an outage of almost 3/4 T, ${state}, T = ${timeout / 1_000} s`;
}
