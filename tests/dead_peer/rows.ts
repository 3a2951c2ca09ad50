/**
 * The rows of the dead-peer table: situations, what has to happen in each, and how to make it happen.
 */

import {
  constants,
  DeadPeerError,
  listen,
  setOptions,
  setsockopt,
  type TcpConnection,
} from "@holdfast/tcp";
import { firstDifference, sleep, streamBytes, until } from "../contract/support.ts";
import { cable, control, type Measured, pending, type Plan, pullCable, type Row } from "./row.ts";

const dead = ["DeadPeerError ETIMEDOUT", "DeadPeerError EHOSTUNREACH", "DeadPeerError ENETUNREACH"];
/** How much later a busy machine may notice it, ms. */
const slack = 700;
export const T: number = 3_000;
const interval = 1_000;

interface Limits {
  timeout?: number;
  accepted?: string[];
  min?: number;
  bound?: number;
}

export function gone(
  name: string,
  run: Plan["run"],
  { timeout = T, accepted = dead, min = timeout - interval - 100, bound = timeout + interval }:
    Limits = {},
): Plan {
  const expected = `${accepted === dead ? "DeadPeerError" : accepted[0]} within ${seconds(bound)}`;
  return { name, expected, accepted, min, max: bound + slack, run };
}

export function alive(name: string, run: Plan["run"]): Plan {
  return { name, expected: "alive, no byte lost", accepted: ["alive"], min: 0, max: Infinity, run };
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

const buffer = () => new Uint8Array(65_536);
const read = (socket: TcpConnection) => pending(socket.read(buffer()));

/** Writes until nothing more fits. Returns the write that waits, and how many bytes were taken. */
function fill(socket: TcpConnection, size: number = 8_000_000): Promise<number> {
  return pending(socket.write(streamBytes(0, size)));
}

/** Asserts that all later calls end with the same error as the pending one. */
async function latched(socket: TcpConnection): Promise<void> {
  for (const call of [() => read(socket), () => socket.write(new Uint8Array(1))]) {
    const error = await call().then(() => "success", (error: unknown) => error);
    if (!(error instanceof DeadPeerError)) throw new Error(`A later call ended with ${error}`);
  }
}

/** Measures how `call` ends, and asserts that all later calls end with the same error. */
export async function endsForGood(
  row: Row,
  socket: TcpConnection,
  call: Promise<unknown>,
): Promise<Measured> {
  const measured = await row.end(call);
  await latched(socket);
  return measured;
}

/** Writes now and then until that fails. */
export async function keepWriting(socket: TcpConnection, every: number): Promise<void> {
  for (;;) {
    await socket.write(new Uint8Array(100));
    await sleep(every);
  }
}

function setLate(seconds: number, limits?: Limits): Plan {
  return gone(`data unacknowledged for ${seconds} s when it is set`, async (row) => {
    using socket = await row.connect(7001, {});
    const reading = read(socket);
    await row.gone();
    await socket.write(new Uint8Array(1000));
    await sleep(seconds * 1_000);
    socket.setOptions({ deadPeerTimeout: T });
    return await endsForGood(row, socket, reading);
  }, limits);
}

export const rows: Plan[] = [
  gone("idle", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: T });
    const reading = read(socket);
    await row.gone();
    return await endsForGood(row, socket, reading);
  }),
  gone("data unacknowledged", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: T });
    const reading = read(socket);
    await row.gone();
    await socket.write(new Uint8Array(1000));
    return await endsForGood(row, socket, reading);
  }),
  setLate(2),
  setLate(6, { min: 5_900, bound: 7_000 }),
  gone("data unacknowledged, nobody reads", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: T });
    await row.gone();
    return await endsForGood(row, socket, keepWriting(socket, 100));
  }),
  gone("idle, T = 10 s", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: 10_000 });
    const reading = read(socket);
    await row.gone();
    return await row.end(reading);
  }, { timeout: 10_000, bound: 11_250 }),
  gone("data unacknowledged, T = 10 s", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: 10_000 });
    const reading = read(socket);
    await row.gone();
    await socket.write(new Uint8Array(1000));
    return await row.end(reading);
  }, { timeout: 10_000, bound: 11_250 }),
  gone("writing every 200 ms", async (row) => {
    using socket = await row.connect(7002, { deadPeerTimeout: T });
    const writing = pending(keepWriting(socket, 200));
    await sleep(1_000);
    await row.gone();
    return await endsForGood(row, socket, writing);
  }),
  gone("a write while probes are out", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: 4_000 });
    const reading = read(socket);
    await row.gone();
    await until(() => socket.tcpInfo().probes! > 0, "a keepalive probe");
    await socket.write(new Uint8Array(1000));
    return await endsForGood(row, socket, reading);
  }, { timeout: 4_000 }),
  alive("closed window, alive for 3 T, then reads", async (row) => {
    using socket = await row.connect(7003, { deadPeerTimeout: T });
    const size = 1_000_000;
    const writing = fill(socket, size);
    row.start = performance.now();
    await Promise.race([writing, sleep(3 * T)]);
    return await delivered(row, socket, writing, size);
  }),
  gone("closed window, then gone", async (row) => {
    using socket = await row.connect(7003, { deadPeerTimeout: T });
    const writing = fill(socket);
    await sleep(2_000);
    await row.gone();
    return await endsForGood(row, socket, writing);
  }),
  alive("a reader that drains every T, for 5 T", async (row) => {
    using socket = await row.connect(7004, { deadPeerTimeout: T });
    const writing = fill(socket);
    row.start = performance.now();
    await Promise.race([writing, sleep(5 * T)]);
    return { ms: row.elapsed, error: "alive" };
  }),
  gone("half closed by us (FIN-WAIT-2)", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: T });
    await socket.closeWrite();
    const reading = read(socket);
    await until(() => socket.tcpInfo().state === "FIN-WAIT-2", "FIN-WAIT-2");
    await row.gone();
    return await row.end(reading);
  }),
  gone("our FIN unacknowledged (FIN-WAIT-1)", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: T });
    const reading = read(socket);
    await row.gone();
    await socket.closeWrite();
    return await row.end(reading);
  }),
  gone("half closed by the peer (CLOSE-WAIT), idle", async (row) => {
    using socket = await row.connect(7006, { deadPeerTimeout: T });
    if (await read(socket) !== null) throw new Error("The peer had finished");
    await row.gone();
    await until(() => row.ended, "the end of the connection");
    return await row.end(socket.write(new Uint8Array(1)));
  }),
  gone("half closed by the peer (CLOSE-WAIT), writing", async (row) => {
    using socket = await row.connect(7006, { deadPeerTimeout: T });
    if (await read(socket) !== null) throw new Error("The peer had finished");
    await row.gone();
    return await row.end(keepWriting(socket, 100));
  }),
  gone("SYN unanswered, connect timeout 2 s", async (row) => {
    await row.gone();
    const measured = await row.end(row.connect(7001, { deadPeerTimeout: T, timeout: 2_000 }));
    await sleep(100);
    if (!row.ended) throw new Error("A socket is left");
    return measured;
  }, { accepted: ["TimeoutError ETIMEDOUT"], bound: 2_000, min: 1_990 }),
  gone("rebooted: RST at the next probe", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: T });
    const reading = read(socket);
    await row.gone();
    await row.command("reset");
    await row.heal();
    return await row.end(reading);
  }, { accepted: ["SocketError ECONNRESET"], bound: T, min: 0 }),
  alive("a 2 s outage that heals", async (row) => {
    using socket = await row.connect(7005, { deadPeerTimeout: 4_000 });
    const size = 400_000;
    const writing = (async () => {
      for (let at = 0; at < size; at += 10_000) {
        await socket.write(streamBytes(at, 10_000));
        await sleep(100);
      }
    })();
    writing.catch(() => {});
    const reading = (async () => {
      const into = buffer();
      for (let at = 0; at < size;) {
        const count = await socket.read(into);
        if (count === null) throw new Error(`The stream ended after ${at} bytes`);
        const wrong = firstDifference(into.subarray(0, count), at);
        if (wrong >= 0) throw new Error(`Byte ${wrong} is wrong`);
        at += count;
      }
    })();
    reading.catch(() => {});
    await sleep(500);
    await row.gone();
    await sleep(2_000);
    await row.heal();
    await Promise.all([writing, reading]);
    return { ms: row.elapsed, error: "alive" };
  }),
  gone("accepted, idle", (row) => accepted(row, false)),
  gone("accepted, data unacknowledged", (row) => accepted(row, true)),
  gone("bytes that had arrived come first", async (row) => {
    using socket = await row.connect(7007, { deadPeerTimeout: T });
    await until(() => socket.tcpInfo().bytesReceived === 1000, "the peer's bytes");
    await row.gone();
    const { ms: measured } = await row.end(keepWriting(socket, 100));
    const into = new Uint8Array(2_000);
    let size = 0;
    let error: unknown;
    try {
      for (;;) {
        const count = await socket.read(into);
        if (count === null) throw new Error("A clean end");
        size += count;
      }
    } catch (cause) {
      error = cause;
    }
    if (size !== 1000) throw new Error(`${size} of 1000 bytes`);
    await latched(socket);
    return { ms: measured, error };
  }),
  {
    name: "close() with unsent data, gone",
    expected: `nothing lingers after ${seconds(T + interval)}`,
    accepted: ["no socket left"],
    min: 0,
    max: T + interval + slack,
    async run(row) {
      const socket = await row.connect(7001, { deadPeerTimeout: T });
      await row.gone();
      await socket.write(new Uint8Array(20_000));
      socket.close();
      row.start = performance.now();
      await until(() => row.ended, "the end of the connection", 60_000);
      return { ms: row.elapsed, error: "no socket left" };
    },
  },
  {
    name: "close() with unsent data before a closed window, gone",
    expected: `nothing lingers after ${seconds(T + interval)}`,
    accepted: ["no socket left"],
    min: 0,
    max: T + interval + slack,
    async run(row) {
      const options = { deadPeerTimeout: T, sendBufferSize: 100_000 };
      const socket = await row.connect(7003, options);
      await socket.write(streamBytes(0, 60_000));
      await sleep(5_000);
      await row.gone();
      socket.close();
      await until(() => row.ended, "the end of the connection", 30_000);
      return { ms: row.elapsed, error: "no socket left" };
    },
  },
  alive("close() before a window that has been closed for 5 T, reads after 3 T", async (row) => {
    const socket = await row.connect(7003, { deadPeerTimeout: T, sendBufferSize: 100_000 });
    const size = 60_000;
    await socket.write(streamBytes(0, size));
    await sleep(5 * T);
    socket.close();
    row.start = performance.now();
    await sleep(3 * T);
    return await delivered(row, undefined, undefined, size);
  }),
  gone("rebooted with data in flight: RST at the next retransmission", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: T });
    const reading = read(socket);
    await row.gone();
    await socket.write(new Uint8Array(1_000));
    await row.command("reset");
    await row.heal();
    return await row.end(reading);
  }, { accepted: ["SocketError ECONNRESET"], bound: T, min: 0 }),
  gone("made anew with data in flight, at another link address", async (row) => {
    // The kernel asks for the new link address only after most of a minute, and retransmissions, whose
    // distance doubles each time, use it minutes later.
    using socket = await row.connect(7001, { deadPeerTimeout: T });
    const reading = read(socket);
    await row.misplace();
    await socket.write(new Uint8Array(1_000));
    return await row.end(reading);
  }),
  alive("close() with unsent data before a closed window, reads after 3 T", async (row) => {
    const socket = await row.connect(7003, { deadPeerTimeout: T, sendBufferSize: 100_000 });
    const size = 60_000;
    await socket.write(streamBytes(0, size));
    await sleep(1_000);
    socket.close();
    row.start = performance.now();
    await sleep(3 * T);
    return await delivered(row, undefined, undefined, size);
  }),
  alive("close() with data in flight, then a closed window, reads after 3 T", async (row) => {
    const socket = await row.connect(7003, { deadPeerTimeout: T, sendBufferSize: 100_000 });
    const size = 60_000;
    await socket.write(streamBytes(0, size));
    socket.close();
    await sleep(3 * T);
    return await delivered(row, undefined, undefined, size);
  }),
  alive("the peer finishes, we finish before a closed window, it reads after 3 T", async (row) => {
    using socket = await row.connect(7003, { deadPeerTimeout: T, sendBufferSize: 100_000 });
    await row.command("finish");
    if (await read(socket) !== null) throw new Error("The peer had finished");
    return await finished(row, socket);
  }),
  alive("we finish before a closed window, the peer finishes, it reads after 3 T", async (row) => {
    using socket = await row.connect(7003, { deadPeerTimeout: T, sendBufferSize: 100_000 });
    setTimeout(() => row.command("finish"), 500);
    return await finished(row, socket);
  }),
  gone("end() after the peer's FIN, data unacknowledged", async (row) => {
    using socket = await row.connect(7006, { deadPeerTimeout: T });
    if (await read(socket) !== null) throw new Error("The peer had finished");
    await row.gone();
    await socket.write(new Uint8Array(1_000));
    return await row.end(socket.end());
  }),
  gone("data unacknowledged, TCP_RTO_MAX_MS as on older kernels", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: T });
    asOlderKernel(socket);
    const reading = read(socket);
    await row.gone();
    await socket.write(new Uint8Array(1000));
    return await endsForGood(row, socket, reading);
  }),
  gone("closed window for 6 s, then gone, TCP_RTO_MAX_MS as on older kernels", async (row) => {
    using socket = await row.connect(7003, { deadPeerTimeout: T });
    asOlderKernel(socket);
    const writing = fill(socket);
    await sleep(6_000);
    await row.gone();
    return await endsForGood(row, socket, writing);
    // The kernel probes after 0.2, 0.6, 1.4, 3.0, 6.2 and 12.6 s, and the last two have no answer.
  }, { min: 0.75 * T, bound: 10_000 }),
  alive(
    "closed window, a probe meets an outage, TCP_RTO_MAX_MS as on older kernels",
    async (row) => {
      using socket = await row.connect(7003, { deadPeerTimeout: T });
      asOlderKernel(socket);
      const size = 1_000_000;
      const writing = fill(socket, size);
      await sleep(4_000);
      await row.gone();
      await until(() => socket.tcpInfo().probes! > 0, "a probe without an answer");
      await row.heal();
      await until(() => socket.tcpInfo().probes === 0, "an answer to the next one", 15_000);
      return await delivered(row, socket, writing, size);
    },
  ),
  alive("closed window, alive for 7 T, TCP_RTO_MAX_MS as on older kernels", async (row) => {
    using socket = await row.connect(7003, { deadPeerTimeout: T });
    asOlderKernel(socket);
    const size = 1_000_000;
    const writing = fill(socket, size);
    row.start = performance.now();
    await Promise.race([writing, sleep(7 * T)]);
    return await delivered(row, socket, writing, size);
  }),
  gone("the runtime's own socket, T = 15 s, data unacknowledged", async (row) => {
    using socket = await row.connect(7001, {});
    setOptions(socket.native, { deadPeerTimeout: 15_000 });
    const reading = read(socket);
    await row.gone();
    await socket.write(new Uint8Array(1000));
    return await row.end(reading);
  }, { timeout: 15_000 }),
  gone("the runtime's own socket, T = 15 s, closed window, then gone", async (row) => {
    using socket = await row.connect(7003, {});
    setOptions(socket.native, { deadPeerTimeout: 15_000 });
    const writing = fill(socket);
    await sleep(2_000);
    await row.gone();
    return await row.end(writing);
  }, { timeout: 15_000 }),
  gone("userTimeout 3 s, data unacknowledged", async (row) => {
    using socket = await row.connect(7001, { userTimeout: 3_000 });
    const reading = read(socket);
    await row.gone();
    await socket.write(new Uint8Array(1000));
    return await row.end(reading);
  }),
  {
    ...gone("userTimeout 3 s, closed window, alive (why it is no answer)", async (row) => {
      using socket = await row.connect(7003, { userTimeout: 3_000 });
      const writing = fill(socket);
      row.start = performance.now();
      return await row.end(writing);
    }),
    expected: "a live peer given up",
  },
  gone("the peer's address removed, idle", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: T });
    const reading = read(socket);
    await row.removeAddress();
    return await row.end(reading);
  }),
  gone("the peer's address removed, data unacknowledged", async (row) => {
    using socket = await row.connect(7001, { deadPeerTimeout: T });
    const reading = read(socket);
    await row.removeAddress();
    await socket.write(new Uint8Array(1000));
    return await endsForGood(row, socket, reading);
  }),
  gone("cable pulled, idle", async () => {
    using socket = await cable.connect(7001, { deadPeerTimeout: T });
    const reading = read(socket);
    await pullCable();
    return await cable.end(reading);
  }),
  gone("cable pulled, data unacknowledged", async () => {
    using socket = await cable.connect(7001, { deadPeerTimeout: T });
    const reading = read(socket);
    await pullCable();
    await socket.write(new Uint8Array(1000));
    return await cable.end(reading);
  }),
];

/** Finishes, and lets the peer read all of it much later. */
async function finished(row: Row, socket: TcpConnection): Promise<Measured> {
  const size = 60_000;
  await socket.write(streamBytes(0, size));
  await socket.closeWrite();
  await sleep(3 * T);
  return await delivered(row, undefined, undefined, size);
}

async function accepted(row: Row, write: boolean): Promise<Measured> {
  using listener = await listen({
    hostname: row.us,
    port: 7100,
    timeout: null,
    deadPeerTimeout: T,
  });
  const [socket] = await Promise.all([listener.accept(), row.dial(7100)]);
  using _closing = socket;
  const reading = read(socket);
  await row.gone();
  if (write) await socket.write(new Uint8Array(1000));
  return await endsForGood(row, socket, reading);
}

/** Lets the peer read everything, and asserts that nothing is missing. */
export async function delivered(
  row: Row,
  socket: TcpConnection | undefined,
  writing: Promise<number> | undefined,
  size: number,
): Promise<Measured> {
  await row.command("read");
  if (await writing !== undefined && socket !== undefined) await socket.closeWrite();
  let count = "";
  for (let i = 0; i < 100 && !count.includes(" "); i++) {
    await sleep(50);
    count = await control(`count ${row.us}`);
  }
  if (count !== `${size} end`) throw new Error(`The peer read ${count}, not all of ${size}`);
  return { ms: row.elapsed, error: "alive" };
}

function asOlderKernel(socket: TcpConnection): void {
  setsockopt(socket, constants.IPPROTO_TCP!, constants.TCP_RTO_MAX_MS!, 120_000);
}
