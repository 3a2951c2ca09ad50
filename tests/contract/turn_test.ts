/** Calls that never have to wait must not block the event loop. */

import process from "node:process";
import { test } from "node:test";
import { assert, assertEquals, assertLess } from "@std/assert";
import { firstLine, pair, patience, sleep, startRuntime, testFile } from "./support.ts";
import { connect, listen, type TcpConnection } from "@holdfast/tcp";

/** Much more than a few ms on a busy machine, and much less than a loop takes that blocks. */
const tolerable = 60;

/** CPU time of this process in ms, so that what else the machine does does not count. */
function worked(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** The longest stretch without a turn of the event loop while `work` goes on, in ms of CPU time. */
async function longestStretch(work: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  let last = worked();
  const timer = setInterval(() => {
    const now = worked();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  try {
    await sleep(20);
    longest = 0;
    await work();
    await sleep(20);
  } finally {
    clearInterval(timer);
  }
  return longest;
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
  const end = performance.now() + 1_000;
  const stretch = await longestStretch(async () => {
    while (performance.now() < end) await socket.write(byte);
  });
  assert(stretch < tolerable, `${stretch} ms of CPU time`);
});

test("turn: several loops of writes at the same time let timers ring", async () => {
  using peer = await drain();
  using other = await drain();
  const byte = new Uint8Array(1);
  const end = performance.now() + 1_000;
  const stretch = await longestStretch(() =>
    Promise.all([peer, other].map(async ({ socket }) => {
      while (performance.now() < end) await socket.write(byte);
    }))
  );
  assert(stretch < tolerable, `${stretch} ms of CPU time`);
});

for (const timeout of [null, 2 * patience]) {
  test(`turn: one write of 400 MB lets timers ring, timeout ${timeout}`, async () => {
    using peer = await drain();
    const data = new Uint8Array(400_000_000);
    let written = 0;
    const stretch = await longestStretch(async () => {
      written = await peer.socket.write(data, { timeout });
    });
    assertEquals(written, data.length);
    assert(stretch < tolerable, `${stretch} ms of CPU time`);
  });
}

test("turn: a loop of reads of one byte lets timers ring", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const size = 500_000;
  const written = server.write(new Uint8Array(size)).then(() => server.closeWrite());
  const byte = new Uint8Array(1);
  let read = 0;
  const stretch = await longestStretch(async () => {
    while (await client.read(byte) !== null) read++;
  });
  assertEquals(read, size);
  await written;
  assert(stretch < tolerable, `${stretch} ms of CPU time`);
});

test("turn: a loop of large reads lets timers ring", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const size = 400_000_000;
  const written = server.write(new Uint8Array(size)).then(() => server.closeWrite());
  const into = new Uint8Array(1_000_000);
  let read = 0;
  const stretch = await longestStretch(async () => {
    for (let count; (count = await client.read(into)) !== null;) read += count;
  });
  assertEquals(read, size);
  await written;
  assert(stretch < tolerable, `${stretch} ms of CPU time`);
});

test("connects without end, 300 at a time, all take turns", async () => {
  using listener = await listen({ hostname: "127.0.0.1", port: 0, backlog: 1_024, timeout: null });
  const { hostname, port } = listener.addr;
  const serving = (async () => {
    for await (const socket of listener) socket.reset();
  })();
  const end = performance.now() + 6_000;
  let longest = 0;
  await Promise.all(Array.from({ length: 300 }, async () => {
    for (let start = 0; start < end;) {
      start = performance.now();
      // It makes no difference if the peer has gone already.
      const socket = await connect({ hostname, port, timeout: patience }).catch(
        (error: unknown) => {
          if ((error as { code?: string }).code !== "ECONNRESET") throw error;
        },
      );
      socket?.close();
      longest = Math.max(longest, performance.now() - start);
    }
  }));
  listener.close();
  await serving;
  assertLess(longest, 4_000);
});
