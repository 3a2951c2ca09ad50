/** Calls that never have to wait must not block the event loop. */

import process from "node:process";
import { test } from "node:test";
import { assertEquals, assertLess } from "@std/assert";
import { firstLine, pair, patience, startRuntime, testFile } from "./support.ts";
import { connect, listen, type TcpConnection } from "@holdfast/tcp";

/**
 * The largest part of all work that may be done without a turn of the event loop. Parts of the work are
 * compared, not times, which say nothing on a busy machine. With turns it is about a fiftieth.
 */
const tolerable = 0.2;

/**
 * How long a loop of calls runs, ms of CPU time: fifty times as long as calls may go on without a turn,
 * whatever the speed of the runtime, and however busy the machine is.
 */
const span = 150;

/** Calls `call` again and again for that time. */
async function loop(call: () => Promise<unknown>): Promise<void> {
  const start = process.cpuUsage();
  for (;;) {
    const { user, system } = process.cpuUsage(start);
    if (user + system > span * 1_000) return;
    for (let i = 0; i < 100; i++) await call();
  }
}

/** The largest part of the work between two turns of the event loop. `done` counts what is done. */
async function largestPart(done: () => number, work: () => Promise<unknown>): Promise<number> {
  const first = done();
  let [largest, last] = [0, first];
  const look = () => {
    largest = Math.max(largest, done() - last);
    last = done();
  };
  const timer = setInterval(look, 1);
  try {
    await work();
  } finally {
    clearInterval(timer);
  }
  look();
  return largest / (last - first);
}

/** Reads all that comes, in a process of its own. */
async function drain(): Promise<{ socket: TcpConnection } & Disposable> {
  const child = startRuntime(testFile("programs/drain.ts"));
  const port = Number(await firstLine(child));
  const socket = await connect({ hostname: "127.0.0.1", port, timeout: patience });
  const dispose = () => {
    socket.close();
    child.kill("SIGKILL");
  };
  return { socket, [Symbol.dispose]: dispose };
}

test("turn: a loop of writes of one byte lets timers ring", async () => {
  using peer = await drain();
  const { socket } = peer;
  const byte = new Uint8Array(1);
  const part = await largestPart(() => socket.bytesWritten, () => loop(() => socket.write(byte)));
  assertLess(part, tolerable);
});

test("turn: several loops of writes at the same time let timers ring", async () => {
  using peer = await drain();
  using other = await drain();
  const byte = new Uint8Array(1);
  const part = await largestPart(
    () => peer.socket.bytesWritten + other.socket.bytesWritten,
    () => Promise.all([peer, other].map(({ socket }) => loop(() => socket.write(byte)))),
  );
  assertLess(part, tolerable);
});

for (const timeout of [null, 2 * patience]) {
  test(`turn: one write of 100 MB lets timers ring, timeout ${timeout}`, async () => {
    using peer = await drain();
    const data = new Uint8Array(100_000_000);
    const { socket } = peer;
    const part = await largestPart(
      () => socket.bytesWritten,
      async () => assertEquals(await socket.write(data, { timeout }), data.length),
    );
    // A turn comes after 3 ms, in which a fast kernel copies 20 MB and more.
    assertLess(part, 0.5);
  });
}

test("turn: a loop of reads of one byte lets timers ring", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const written = server.write(new Uint8Array(4_000_000)).catch(() => {});
  const byte = new Uint8Array(1);
  const part = await largestPart(() => client.bytesRead, () => loop(() => client.read(byte)));
  assertLess(part, tolerable);
  client.close();
  await written;
});

test("turn: a loop of large reads lets timers ring", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const size = 100_000_000;
  const written = server.write(new Uint8Array(size)).then(() => server.closeWrite());
  const into = new Uint8Array(1_000_000);
  const part = await largestPart(() => client.bytesRead, async () => {
    while (await client.read(into) !== null);
  });
  assertEquals(client.bytesRead, size);
  await written;
  assertLess(part, tolerable);
});

test("connects without end, 200 at a time, all take turns", async () => {
  using listener = await listen({ hostname: "127.0.0.1", port: 0, backlog: 1_024, timeout: null });
  const { hostname, port } = listener.addr;
  const serving = (async () => {
    for await (const socket of listener) socket.reset();
  })();
  // How often each of them has connected: one that starves would still be at 1 when another is at 40.
  const rounds = Array.from({ length: 200 }, () => 0);
  const most = () => Math.max(...rounds);
  const least = () => Math.min(...rounds);
  await Promise.all(rounds.map(async (_, i) => {
    while (least() < 4 && most() < 40) {
      // It makes no difference if the peer has gone already.
      const socket = await connect({ hostname, port, timeout: patience }).catch(
        (error: unknown) => {
          if ((error as { code?: string }).code !== "ECONNRESET") throw error;
        },
      );
      socket?.close();
      rounds[i]!++;
    }
  }));
  listener.close();
  await serving;
  assertLess(most(), 40);
});
