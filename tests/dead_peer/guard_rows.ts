/**
 * Sockets of `node:net`, which know nothing of this library, under a guard with `deadPeerTimeout`.
 */

import { channel } from "node:diagnostics_channel";
import { once } from "node:events";
import { connect as netConnect, type Socket } from "node:net";
import {
  constants,
  type DeadPeerError,
  evict,
  getOptions,
  guard,
  type GuardOptions,
  setOptions,
  setsockopt,
  type SocketEntry,
  sockets,
  wrap,
} from "@holdfast/tcp";
import { patience, sleep, until } from "../contract/support.ts";
import { control, type Measured, type Plan, type Row } from "./row.ts";

/** How much later a busy machine may notice it, ms. */
const slack = 900;
const T = 3_000;
const interval = 1_000;
// Kept in a variable because of Bun: https://github.com/oven-sh/bun/issues/43086
const guardChannel = channel("holdfast.guard");
const deadPeerChannel = channel("holdfast.dead_peer");
const lost = ["ETIMEDOUT", "ECONNRESET", "EHOSTUNREACH"];

function gone(name: string, run: Plan["run"], timeout = T, bound = timeout + interval): Plan {
  const expected = `told within ${(bound / 1_000).toFixed(1)} s`;
  const min = timeout - interval - 100;
  return { name, expected, accepted: lost, min, max: bound + slack, run };
}

function alive(name: string, run: Plan["run"]): Plan {
  return { name, expected: "alive", accepted: ["alive"], min: 0, max: Infinity, run };
}

const guarding = (row: Row, options: Partial<GuardOptions> = {}) =>
  guard({ match: { remoteAddress: row.peer }, deadPeerTimeout: T, ...options });

/** A socket that is connected and guarded, and how it ends. */
async function open(row: Row, port: number, resumed = true) {
  const socket = netConnect({ host: row.peer, port });
  socket.on("error", () => {});
  await once(socket, "connect");
  const entry = () => sockets({ remoteAddress: row.peer, remotePort: port })[0];
  await until(() => getOptions(entry()!).keepAlive !== false, "guarded", patience);
  if (resumed) socket.resume();
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.once("error", (error) => resolve((error as { code?: string }).code ?? String(error)));
  socket.once("close", () => resolve("closed without an error"));
  return { socket, ended: promise, entry, [Symbol.dispose]: () => void socket.destroy() };
}

async function endOf(row: Row, ended: Promise<string>): Promise<Measured> {
  const error = await ended;
  return { ms: row.elapsed, error };
}

/** Waits for `ms`, and asserts that the connection is still open. */
async function survives(row: Row, ended: Promise<string>, ms: number): Promise<Measured> {
  const error = await Promise.race([ended, sleep(ms).then(() => "alive")]);
  return { ms: row.elapsed, error };
}

/** Writes until the kernel takes no more. */
function fill(socket: Socket): void {
  while (socket.write(new Uint8Array(65_536)));
  for (let i = 0; i < 100; i++) socket.write(new Uint8Array(65_536));
}

export const guardRows: Plan[] = [
  gone("idle, and it is counted", async (row) => {
    using guarded = guarding(row);
    using one = await open(row, 7001);
    await row.gone();
    const measured = await endOf(row, one.ended);
    if (guarded.stats.ended !== 1) throw new Error(`${guarded.stats.ended} ended`);
    return measured;
  }),
  gone("data in flight, and it is published", async (row) => {
    const events: string[] = [];
    guardChannel.subscribe((message) => {
      const { event, socket } = message as { event: string; socket: SocketEntry };
      if (socket.remoteAddr?.hostname === row.peer) events.push(event);
    });
    using guarded = guarding(row);
    using one = await open(row, 7005);
    await row.gone();
    one.socket.write("request");
    const measured = await endOf(row, one.ended);
    if (events.join() !== "applied,ended") throw new Error(`published: ${events}`);
    if (guarded.stats.ended !== 1) throw new Error(`${guarded.stats.ended} ended`);
    return measured;
  }),
  gone("a dead peer of a connection of ours is published once", async (row) => {
    const errors: DeadPeerError[] = [];
    deadPeerChannel.subscribe((message) => {
      const { error } = message as { error: DeadPeerError };
      if (error.address?.hostname === row.peer) errors.push(error);
    });
    using socket = await row.connect(7005, { deadPeerTimeout: T });
    await row.gone();
    const pending = socket.read(new Uint8Array(1)).catch((error: DeadPeerError) => error);
    await socket.write(new Uint8Array(1));
    const error = await pending as DeadPeerError;
    const ms = row.elapsed;
    await socket.write(new Uint8Array(1)).catch(() => {});
    if (errors.length !== 1) throw new Error(`published ${errors.length} times`);
    return { ms, error: error.code };
  }),
  gone(
    "data in flight, an old kernel",
    async (row) => {
      using _guarded = guarding(row);
      using one = await open(row, 7005);
      // As on Linux before 6.15.
      setsockopt(one.entry()!, constants.IPPROTO_TCP!, constants.TCP_RTO_MAX_MS!, 120_000);
      await row.gone();
      one.socket.write("request");
      return await endOf(row, one.ended);
    },
    T,
    T + 2 * interval,
  ),
  gone(
    "data in flight, 1 s",
    async (row) => {
      using _guarded = guarding(row, { deadPeerTimeout: 1_000 });
      using one = await open(row, 7005);
      await row.gone();
      one.socket.write("request");
      return await endOf(row, one.ended);
    },
    1_000,
    2_000,
  ),
  gone("before a closed window", async (row) => {
    using _guarded = guarding(row);
    using one = await open(row, 7003);
    fill(one.socket);
    await sleep(1_000);
    await row.gone();
    return await endOf(row, one.ended);
  }),
  gone("before a window that has been closed for 3 T", async (row) => {
    using _guarded = guarding(row);
    using one = await open(row, 7003);
    fill(one.socket);
    // By then the kernel's own probes would be many seconds apart.
    await sleep(3 * T);
    await row.gone();
    return await endOf(row, one.ended);
  }),
  gone("before a closed window, after another guard was closed", async (row) => {
    using _guarded = guarding(row);
    const other = guarding(row);
    using one = await open(row, 7003);
    fill(one.socket);
    // By then the kernel's own probes would be many seconds apart.
    await sleep(2 * T);
    other.close();
    await sleep(2 * interval);
    await row.gone();
    return await endOf(row, one.ended);
  }),
  gone("a wrapped connection before a closed window, after its guard was closed", async (row) => {
    const guarded = guarding(row);
    using one = await open(row, 7003, false);
    fill(one.socket);
    await sleep(2 * T);
    using socket = wrap(one.socket, { timeout: null });
    socket.setOptions({ deadPeerTimeout: T });
    const written = socket.write(new Uint8Array(1)).catch((error: DeadPeerError) => error);
    guarded.close();
    await sleep(2 * interval);
    await row.gone();
    const { code } = await written as DeadPeerError;
    return { ms: row.elapsed, error: code };
  }),
  gone(
    "the owner's keepalive came later",
    async (row) => {
      using _guarded = guarding(row);
      using one = await open(row, 7001);
      setOptions(one.entry()!, { keepAlive: { idle: 60_000, interval: 10_000, count: 3 } });
      await row.gone();
      return await endOf(row, one.ended);
    },
    T,
    2 * T + 2 * interval,
  ),
  {
    ...gone("an attempt to connect", async (row) => {
      using _guarded = guard({
        match: { localAddress: row.us },
        deadPeerTimeout: T,
        every: 100,
      });
      await row.gone();
      const socket = netConnect({ host: row.peer, port: 7001, localAddress: row.us });
      const [error] = await once(socket, "error").catch((error) => [error]);
      return { ms: row.elapsed, error: (error as { code: string }).code };
    }),
    // Bun has this code for every attempt that fails.
    accepted: [...lost, "ECONNREFUSED"],
  },
  {
    ...gone(
      "what has arrived can be read first",
      async (row) => {
        using _guarded = guarding(row);
        using one = await open(row, 7005, false);
        const chunk = new Uint8Array(1_000_000);
        one.socket.pause();
        one.socket.write(chunk);
        await sleep(1_000);
        await row.gone();
        one.socket.write("request");
        await sleep(T + interval);
        let size = 0;
        one.socket.on("data", (data) => size += data.length).resume();
        const { ms, error } = await endOf(row, one.ended);
        return { ms, error: size > 100_000 ? "read" : error };
      },
      T,
      T + 3 * interval,
    ),
    // Bun reads nothing more from a connection that has failed. But the guard must not have reset it.
    accepted: ["read", "ETIMEDOUT"],
  },
  {
    ...gone("evicted after our address has gone", async (row) => {
      const socket = netConnect({ host: row.peer, port: 7001 });
      socket.on("error", () => {});
      await once(socket, "connect");
      socket.resume();
      const ended = once(socket, "error").catch((error) => [error]);
      const before = evict({ unreachable: true }).length;
      await row.loseAddress();
      const evicted = evict({ unreachable: true }).map(({ localAddr }) => localAddr.hostname);
      const [error] = await ended;
      if (before !== 0 || evicted.join() !== row.us) throw new Error(`${before} ${evicted}`);
      return { ms: row.elapsed, error: (error as { code: string }).code };
    }, 0),
    accepted: ["ECONNRESET"],
  },
  alive("a reader that is slow", async (row) => {
    using guarded = guarding(row);
    using one = await open(row, 7004);
    fill(one.socket);
    const measured = await survives(row, one.ended, 4 * T);
    if (guarded.stats.ended > 0) throw new Error("ended");
    return measured;
  }),
  alive("nobody reads, but the peer is there", async (row) => {
    using _guarded = guarding(row);
    using one = await open(row, 7003);
    fill(one.socket);
    return await survives(row, one.ended, 4 * T);
  }),
  alive("idle, and the peer is there", async (row) => {
    using _guarded = guarding(row);
    using one = await open(row, 7001);
    return await survives(row, one.ended, 4 * T);
  }),
  ...[0, 500, 1_000].map((wait) =>
    alive(`an outage of 0.7 T with data in flight, ${wait} ms after`, async (row) => {
      using _guarded = guarding(row, { deadPeerTimeout: 4_000 });
      using one = await open(row, 7005);
      one.socket.write("before");
      await sleep(wait);
      await row.gone();
      one.socket.write("request");
      await sleep(2_800);
      await row.heal();
      return await survives(row, one.ended, 8_000);
    })
  ),
  alive("the owner closes in an outage of 0.7 T, with data in flight", async (row) => {
    using _guarded = guarding(row, { deadPeerTimeout: 4_000 });
    using one = await open(row, 7002);
    one.socket.write("before");
    await sleep(500);
    await row.gone();
    one.socket.write("request");
    // By then the guard has the kernel retransmit often.
    await sleep(2_400);
    one.socket.destroySoon();
    await sleep(400);
    await row.heal();
    const count = () => control(`count ${row.us}`);
    for (
      const start = row.elapsed;
      !(await count()).includes(" ") && row.elapsed < start + 8_000;
    ) {
      await sleep(100);
    }
    return { ms: row.elapsed, error: await count() === "13 end" ? "alive" : await count() };
  }),
];
