import { createHash } from "node:crypto";
import { test } from "node:test";
import {
  assert,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { type CallOptions, Deadline, SocketError, TimeoutError } from "@holdfast/tcp";
import type { TcpConnection } from "@holdfast/tcp";
import {
  firstDifference,
  overTls,
  pair,
  patience,
  readExactly,
  sleep,
  smallPair,
  spySignal,
  streamBytes,
  tooMuchForSmall,
  until,
  within,
} from "./support.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const megabyte = 2 ** 20;
/** More bytes than all buffers between two ends take (4.3 MB were measured). */
const tooMuch = 16 * megabyte;
const zeros = new Uint8Array(tooMuch);

/** Writes the stream from its start until nothing more fits. The peer must not read. */
async function fillUp(socket: TcpConnection): Promise<number> {
  const error = await assertRejects(
    () => socket.write(streamBytes(0, tooMuch), { timeout: 400 }),
    TimeoutError,
  );
  assertEquals(socket.bytesWritten, error.bytesWritten);
  return socket.bytesWritten;
}

/** Reads to the end of the stream and checks every byte. Returns how many there were. */
async function readStream(socket: TcpConnection): Promise<number> {
  const into = new Uint8Array(256 * 1024);
  let position = 0;
  for (;;) {
    const count = await socket.read(into, { timeout: patience });
    if (count === null) return position;
    const wrong = firstDifference(into.subarray(0, count), position);
    assertEquals(wrong, -1, `byte ${wrong} is wrong`);
    position += count;
  }
}

test("read: what was written, in order, counted at both ends", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  assertEquals(await client.write(bytes("hello ")), 6);
  assertEquals(await client.write(bytes("world")), 5);
  assertEquals(await readExactly(server, 11), bytes("hello world"));
  assertEquals([client.bytesWritten, client.bytesRead], [11, 0]);
  assertEquals([server.bytesWritten, server.bytesRead], [0, 11]);
});

test("read: no more than fits, the rest waits", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await client.write(bytes("abcdef"));
  const into = new Uint8Array(4);
  assertEquals(await server.read(into), 4);
  assertEquals(into, bytes("abcd"));
  assertEquals(server.bytesRead, 4);
  assertEquals(await server.read(into), 2);
  assertEquals(into, bytes("efcd"));
});

test("read: into a part of a buffer, and nowhere else", async () => {
  using sockets = await pair();
  const buffer = new Uint8Array(10).fill(0xee);
  const pending = sockets.server.read(buffer.subarray(3, 6));
  await sockets.client.write(bytes("xyz!"));
  assertEquals(await pending, 3);
  assertEquals([...buffer], [0xee, 0xee, 0xee, 0x78, 0x79, 0x7a, 0xee, 0xee, 0xee, 0xee]);
  assertEquals(await readExactly(sockets.server, 1), bytes("!"));
});

test("read and write: nothing into nothing is 0 at once", async () => {
  using sockets = await pair();
  assertEquals(await within(1_000, sockets.client.read(new Uint8Array(0))), 0);
  assertEquals(await within(1_000, sockets.client.write(new Uint8Array(0))), 0);
  await sockets.client.write(bytes("a"));
  assertEquals(await readExactly(sockets.server, 1), bytes("a"));
});

test("read: null at the end, again and again", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await client.write(bytes("last"));
  client.close();
  assertEquals(await readExactly(server, 4), bytes("last"));
  const into = new Uint8Array(4);
  for (let i = 0; i < 3; i++) assertEquals(await server.read(into), null);
});

// Limits. Each row has the limits of a call, and which of them has to end it.

interface Row {
  name: string;
  connection: number | null;
  options?: () => CallOptions;
  /** The `timeout` of the error, which is also the earliest time in ms. "abort" means the signal's reason. */
  ends: number | "abort" | "never";
  after?: number;
}

const rows: Row[] = [
  { name: "connection", connection: 80, ends: 80 },
  {
    name: "timeout below connection",
    connection: 5_000,
    options: () => ({ timeout: 80 }),
    ends: 80,
  },
  {
    name: "timeout above connection",
    connection: 40,
    options: () => ({ timeout: 160 }),
    ends: 160,
  },
  {
    name: "timeout null over connection",
    connection: 40,
    options: () => ({ timeout: null }),
    ends: "never",
  },
  { name: "no limit at all", connection: null, ends: "never" },
  {
    name: "timeout without connection",
    connection: null,
    options: () => ({ timeout: 80 }),
    ends: 80,
  },
  { name: "a fraction", connection: 60.5, ends: 60.5 },
  {
    name: "deadline below connection",
    connection: 5_000,
    options: () => ({ deadline: Deadline.after(80) }),
    ends: 80,
  },
  {
    name: "connection below deadline",
    connection: 80,
    options: () => ({ deadline: Deadline.after(5_000) }),
    ends: 80,
  },
  {
    name: "timeout null, deadline",
    connection: 40,
    options: () => ({ timeout: null, deadline: Deadline.after(120) }),
    ends: 120,
  },
  {
    name: "timeout below deadline and signal",
    connection: null,
    options: () => ({
      timeout: 80,
      deadline: Deadline.after(2_000),
      signal: AbortSignal.timeout(2_000),
    }),
    ends: 80,
  },
  {
    name: "deadline below timeout and signal",
    connection: 5_000,
    options: () => ({
      timeout: 2_000,
      deadline: Deadline.after(80),
      signal: AbortSignal.timeout(2_000),
    }),
    ends: 80,
  },
  {
    name: "signal below timeout and deadline",
    connection: 5_000,
    options: () => ({
      timeout: 2_000,
      deadline: Deadline.after(2_000),
      signal: AbortSignal.timeout(80),
    }),
    ends: "abort",
    after: 79,
  },
  {
    name: "signal alone",
    connection: null,
    options: () => ({ signal: AbortSignal.timeout(80) }),
    ends: "abort",
    after: 79,
  },
  {
    name: "undefined is not given",
    connection: 80,
    options: () => ({ timeout: undefined, deadline: undefined, signal: undefined }),
    ends: 80,
  },
  ...[2 ** 31 - 1, 2 ** 31, 2 ** 32 + 7, 1e15].flatMap((ms): Row[] => [
    { name: `connection ${ms}`, connection: ms, ends: "never" },
    { name: `timeout ${ms}`, connection: 50, options: () => ({ timeout: ms }), ends: "never" },
    {
      name: `deadline ${ms}`,
      connection: null,
      options: () => ({ deadline: Deadline.after(ms) }),
      ends: "never",
    },
  ]),
];

/** Starts the calls of all rows together and checks how they end. `release` ends those that never would. */
async function judge(
  operation: "read" | "write",
  start: (row: Row) => Promise<{
    socket: TcpConnection;
    call: (options?: CallOptions) => Promise<unknown>;
    release: (ended: boolean) => Promise<void>;
  }>,
): Promise<void> {
  await Promise.all(rows.map(async (row) => {
    const { socket, call, release } = await start(row);
    // Deadlines and signals count from here.
    const began = performance.now();
    const options = row.options?.();
    const outcome = (options === undefined ? call() : call(options)).then(
      (value) => ({ value, error: undefined }),
      (error: unknown) => ({ value: undefined, error }),
    );
    if (row.ends === "never") {
      assertEquals(await Promise.race([outcome, sleep(350)]), undefined, row.name);
      await release(false);
      assertEquals((await within(patience, outcome)).error, undefined, row.name);
      return;
    }
    const { error } = await within(patience, outcome);
    const ms = performance.now() - began;
    if (row.ends === "abort") assertStrictEquals(error, options!.signal!.reason, row.name);
    else {
      assertInstanceOf(error, TimeoutError, row.name);
      assertEquals(error.timeout, row.ends, row.name);
      assertEquals(error.operation, operation, row.name);
      assertEquals(error.code, "ETIMEDOUT", row.name);
      assertEquals(error.address?.port, socket.remoteAddr.port, row.name);
    }
    // performance.now() may be less exact than the kernel's clock.
    const earliest = typeof row.ends === "number" ? row.ends : row.after!;
    assertGreaterOrEqual(ms, earliest - 1, row.name);
    assertLess(ms, 1_900, row.name);
    await release(true);
  }));
}

test("read: of connection, call, deadline and signal the earliest counts", async () => {
  const open: Disposable[] = [];
  await judge("read", async ({ connection }) => {
    const sockets = await pair();
    open.push(sockets);
    const { client, server } = sockets;
    client.setTimeouts({ read: connection });
    return {
      socket: client,
      call: (options) => client.read(new Uint8Array(8), options),
      // This also shows that the connection can be used after a timeout.
      release: async (ended) => {
        await server.write(bytes("late"));
        if (!ended) return;
        assertEquals(await client.read(new Uint8Array(8), { timeout: patience }), 4);
      },
    };
  });
  for (const one of open) one[Symbol.dispose]();
});

test("write: of connection, call, deadline and signal the earliest counts", async () => {
  const open: Disposable[] = [];
  const full = new Map<Row, Awaited<ReturnType<typeof pair>>>();
  await Promise.all(rows.map(async (row) => {
    const sockets = await smallPair();
    open.push(sockets);
    full.set(row, sockets);
    const { client } = sockets;
    const fill = (timeout: number) =>
      assertRejects(() => client.write(zeros, { timeout }), TimeoutError);
    await fill(overTls ? 6_000 : 1_500);
    // On a busy machine the kernel makes room for some more after a while.
    for (let before = -1; before !== client.bytesWritten;) {
      before = client.bytesWritten;
      await fill(500);
    }
  }));
  await judge("write", (row) => {
    const { client, server } = full.get(row)!;
    client.setTimeouts({ write: row.connection });
    return Promise.resolve({
      socket: client,
      call: (options) => client.write(new Uint8Array(1_000), options),
      release: async () => {
        const into = new Uint8Array(megabyte);
        while (server.bytesRead < client.bytesWritten) await server.read(into);
      },
    });
  });
  for (const one of open) one[Symbol.dispose]();
});

test("read: a limit far away does not fire, and the next call has its own", async () => {
  using sockets = await pair({
    connect: { timeout: { connect: patience, read: 1_000, write: 1_000 } },
  });
  const { client, server } = sockets;
  for (let i = 0; i < 4; i++) {
    const pending = client.read(new Uint8Array(1));
    await sleep(300);
    await server.write(Uint8Array.of(i));
    assertEquals(await pending, 1);
  }
});

test("read: after the timeout nothing is lost, and the old buffer stays untouched", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const abandoned: Uint8Array[] = [];
  for (let i = 0; i < 20; i++) {
    const into = new Uint8Array(64).fill(0xee);
    abandoned.push(into);
    await assertRejects(() => server.read(into, { timeout: 1 + i / 4 }), TimeoutError);
  }
  await client.write(streamBytes(0, 1_000));
  const got = await readExactly(server, 1_000);
  assertEquals(firstDifference(got, 0), -1);
  assertEquals(server.bytesRead, 1_000);
  await sleep(20);
  for (const into of abandoned) assert(into.every((byte) => byte === 0xee));
});

test("read: a deadline that has passed rejects also when data is ready, and keeps the data", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await client.write(bytes("ready to be read"));
  assertEquals(await readExactly(server, 6), bytes("ready "));
  const deadline = Deadline.after(1);
  await sleep(20);
  assert(deadline.expired);
  const into = new Uint8Array(64).fill(0xee);
  const error = await assertRejects(() => server.read(into, { deadline }), TimeoutError);
  assertEquals([error.timeout, error.operation], [1, "read"]);
  assert(into.every((byte) => byte === 0xee));
  assertEquals(await readExactly(server, 10), bytes("to be read"));
});

test("read: an aborted signal rejects also when data is ready, and keeps the data", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await client.write(bytes("ready to be read"));
  assertEquals(await readExactly(server, 6), bytes("ready "));
  const reason = { not: "an error" };
  const error = await server.read(new Uint8Array(9), { signal: AbortSignal.abort(reason) })
    .catch((error: unknown) => error);
  assertStrictEquals(error, reason);
  assertEquals(await readExactly(server, 10), bytes("to be read"));
});

test("write: a passed deadline or an aborted signal rejects and sends nothing", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const deadline = Deadline.after(1);
  await sleep(20);
  const error = await assertRejects(() => client.write(bytes("no"), { deadline }), TimeoutError);
  assertEquals([error.timeout, error.bytesWritten, error.operation], [1, 0, "write"]);
  for (const reason of [new Error("mine"), "text", null]) {
    const rejected = await client.write(bytes("no"), { signal: AbortSignal.abort(reason) })
      .catch((error: unknown) => error);
    assertStrictEquals(rejected, reason);
  }
  assertEquals(client.bytesWritten, 0);
  await client.write(bytes("yes"));
  assertEquals(await readExactly(server, 3), bytes("yes"));
});

test("read and write: an abort while waiting rejects with the reason, and loses nothing", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  for (const reason of [new Error("mine"), "text", 0, null, undefined]) {
    const controller = new AbortController();
    const into = new Uint8Array(8).fill(0xee);
    const pending = server.read(into, { signal: controller.signal }).catch((error) => error);
    setTimeout(() => controller.abort(reason), 10);
    assertStrictEquals(await within(patience, pending), controller.signal.reason);
    await client.write(bytes("abc"));
    assertEquals(await readExactly(server, 3), bytes("abc"));
    assert(into.every((byte) => byte === 0xee));
  }
  const before = client.bytesWritten;
  const controller = new AbortController();
  const pending = client.write(streamBytes(0, tooMuch), { signal: controller.signal })
    .catch((error) => error);
  setTimeout(() => controller.abort("stop"), 100);
  assertEquals(await within(patience, pending), "stop");
  const sent = client.bytesWritten - before;
  assertGreater(sent, 0);
  assertLess(sent, tooMuch);
  client.closeWrite();
  assertEquals(await readStream(server), sent);
});

test("read and write: no listener stays on a signal", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const controller = new AbortController();
  const { signal } = controller;
  const spy = spySignal(signal);
  for (let i = 0; i < 50; i++) {
    const pending = server.read(new Uint8Array(8), { signal });
    await client.write(bytes("x"), { signal });
    await pending;
    await assertRejects(
      () => server.read(new Uint8Array(8), { signal, timeout: 0.5 }),
      TimeoutError,
    );
  }
  assertEquals(spy.listeners, 0);
  const reads = [
    server.read(new Uint8Array(8), { signal }),
    server.read(new Uint8Array(8), { signal }),
  ];
  assertEquals(spy.listeners, 2);
  const rejected = Promise.all(reads.map((read) => read.catch((error: unknown) => error)));
  controller.abort("over");
  assertEquals(await rejected, ["over", "over"]);
  assertEquals(spy.listeners, 0);
});

test("write: a timeout says how many bytes went, and going on from there yields the exact stream", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const total = 12 * megabyte;
  let position = 0;
  let timeouts = 0;
  const received = (async () => {
    const into = new Uint8Array(200_000);
    let size = 0;
    for (let reads = 0;; reads++) {
      // Slow enough for writes to run into their limit, the first five times however slow the machine is.
      if (reads % 4 === 0) await sleep(8);
      if (reads < 5) await until(() => timeouts > reads || position === total, "a write's limit");
      const count = await server.read(into);
      if (count === null) return size;
      const wrong = firstDifference(into.subarray(0, count), size);
      assertEquals(wrong, -1, `byte ${wrong} is wrong`);
      size += count;
    }
  })();
  while (position < total) {
    const data = streamBytes(position, Math.min(3 * megabyte, total - position)).slice();
    try {
      assertEquals(await client.write(data, { timeout: 15 }), data.length);
      position += data.length;
    } catch (error) {
      assertInstanceOf(error, TimeoutError);
      assertEquals(error.operation, "write");
      position += error.bytesWritten!;
      timeouts++;
    }
    // The buffer may be reused now.
    data.fill(0xee);
    assertEquals(client.bytesWritten, position);
  }
  assertGreater(timeouts, 3);
  await client.closeWrite();
  assertEquals(await within(patience, received), total);
});

test("write: going on with the same buffer", async () => {
  using sockets = await smallPair();
  const { client, server } = sockets;
  const data = streamBytes(0, tooMuchForSmall);
  const error = await assertRejects(() => client.write(data, { timeout: 60 }), TimeoutError);
  assertLess(error.bytesWritten!, data.length);
  const rest = client.write(data.subarray(error.bytesWritten)).then(() => client.closeWrite());
  assertEquals(await readStream(server), data.length);
  await rest;
});

test("write: 20 MB at once, both ways at the same time", async () => {
  using sockets = await pair();
  const size = 20 * megabyte;
  const data = streamBytes(0, size);
  const digest = createHash("sha256").update(data).digest("hex");
  const sendAll = async (socket: TcpConnection) => {
    assertEquals(await socket.write(data, { timeout: 30_000 }), size);
    await socket.closeWrite();
  };
  const receiveAll = async (socket: TcpConnection) => {
    const hash = createHash("sha256");
    const into = new Uint8Array(100_000);
    for (let count; (count = await socket.read(into)) !== null;) {
      hash.update(into.subarray(0, count));
    }
    assertEquals(socket.bytesRead, size);
    assertEquals(hash.digest("hex"), digest);
  };
  const { client, server } = sockets;
  await within(
    30_000,
    Promise.all([sendAll(client), sendAll(server), receiveAll(client), receiveAll(server)]),
  );
});

test("write: without any limit, the bytes are exact too", async () => {
  using sockets = await pair({
    connect: { timeout: { connect: patience, read: null, write: null } },
  });
  const { client, server } = sockets;
  const size = 12 * megabyte;
  const data = streamBytes(0, size).slice();
  const sent = client.write(data).then((count) => {
    assertEquals(count, size);
    data.fill(0xee);
    return client.closeWrite();
  });
  await sleep(50);
  assertEquals(await readStream(server), size);
  await sent;
});

test("read: calls are served in order", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const into = Array.from({ length: 4 }, () => new Uint8Array(3));
  const order: number[] = [];
  const reads = into.map((buffer, i) =>
    server.read(buffer).then((count) => {
      order.push(i);
      return count;
    })
  );
  await client.write(bytes("aaabbb"));
  await Promise.all(reads.slice(0, 2));
  await client.write(bytes("cccddd"));
  assertEquals(await Promise.all(reads), [3, 3, 3, 3]);
  assertEquals(order, [0, 1, 2, 3]);
  assertEquals(into.map((buffer) => new TextDecoder().decode(buffer)), [
    "aaa",
    "bbb",
    "ccc",
    "ddd",
  ]);
});

test("read: each call's clock starts at its call, and one that ends early leaves its place", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const into = Array.from({ length: 3 }, () => new Uint8Array(2).fill(0xee));
  const began = performance.now();
  const first = server.read(into[0]!, { timeout: patience });
  const second = server.read(into[1]!, { timeout: 60 });
  const third = server.read(into[2]!, { timeout: patience });
  const error = await assertRejects(() => second, TimeoutError);
  assertEquals(error.timeout, 60);
  assertLess(performance.now() - began, 5_000);
  await client.write(bytes("1133"));
  assertEquals(await Promise.all([first, third]), [2, 2]);
  assertEquals(into.map((buffer) => [...buffer]), [[49, 49], [0xee, 0xee], [51, 51]]);
});

test("write: calls go out in order, and one that ends early leaves no byte of its own", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const filled = await fillUp(client);
  const part = (index: number, size: number) => new Uint8Array(size).fill(index);
  const first = client.write(part(1, 10_000), { timeout: patience });
  const late = assertRejects(() => client.write(part(2, 500_000), { timeout: 60 }), TimeoutError);
  const third = client.write(part(3, 10_000), { timeout: patience });
  const error = await late;
  assertEquals([error.bytesWritten, error.timeout], [0, 60]);
  const controller = new AbortController();
  const aborted = client.write(part(4, 500_000), { signal: controller.signal })
    .catch((error) => error);
  controller.abort("not this one");
  assertEquals(await aborted, "not this one");
  const fifth = client.write(part(5, 10_000), { timeout: patience });
  const closed = client.closeWrite();
  const head = await readExactly(server, filled);
  assertEquals(firstDifference(head, 0), -1);
  const tail = await readExactly(server, 30_000);
  for (const [i, index] of [1, 3, 5].entries()) {
    assert(tail.subarray(i * 10_000, (i + 1) * 10_000).every((byte) => byte === index));
  }
  assertEquals(await server.read(new Uint8Array(1)), null);
  assertEquals(await Promise.all([first, third, fifth]), [10_000, 10_000, 10_000]);
  await closed;
});

test("write: when the first of the queue ends early, the next goes on right behind its part", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const first = assertRejects(
    () => client.write(streamBytes(0, tooMuch), { timeout: 150 }),
    TimeoutError,
  );
  const second = client.write(bytes("second"), { timeout: patience });
  const { bytesWritten } = await first;
  const closed = second.then(() => client.closeWrite());
  const head = await readExactly(server, bytesWritten!);
  assertEquals(firstDifference(head, 0), -1);
  assertEquals(await readExactly(server, 6), bytes("second"));
  assertEquals(await server.read(new Uint8Array(1)), null);
  await closed;
});

test("read: memory that is taken away meanwhile ends that read, and loses nothing", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const [transferred, resized] = [new ArrayBuffer(8), new ArrayBuffer(8, { maxByteLength: 8 })];
  const late = [transferred, resized].map((buffer) => {
    const pending = client.read(new Uint8Array(buffer, 4));
    return assertRejects(() => pending, TypeError, "'into'");
  });
  const last = client.read(new Uint8Array(8));
  await sleep(20);
  structuredClone(transferred, { transfer: [transferred] });
  resized.resize(2);
  await server.write(Uint8Array.of(1, 2, 3));
  await within(patience, Promise.all(late));
  assertEquals(await last, 3);
});

test("setTimeouts: holds for calls from now on, and leaves out what is left out", async () => {
  using sockets = await pair();
  const { client } = sockets;
  const pending = client.read(new Uint8Array(1));
  client.setTimeouts({ read: 50 });
  assertEquals(client.timeouts, { read: 50, write: patience });
  const second = await assertRejects(() => client.read(new Uint8Array(1)), TimeoutError);
  assertEquals(second.timeout, 50);
  client.setTimeouts({ write: null, read: null });
  assertEquals(client.timeouts, { read: null, write: null });
  client.setTimeouts({});
  assertEquals(client.timeouts, { read: null, write: null });
  await sockets.server.write(Uint8Array.of(1));
  assertEquals(await pending, 1);
});

test("timeouts and ends come also when a test has replaced the global timers", async () => {
  const names = ["setTimeout", "setInterval", "setImmediate"] as const;
  const globals = globalThis as unknown as Record<string, unknown>;
  const own = names.map((name) => globals[name]);
  const calls = async () => {
    using sockets = await pair();
    const { client, server } = sockets;
    await assertRejects(() => client.read(new Uint8Array(1), { timeout: 20 }), TimeoutError);
    await assertRejects(() => client.write(zeros, { timeout: 100 }), TimeoutError);
    // The peer ends while our bytes still wait.
    await server.closeWrite();
    assertEquals(await client.read(new Uint8Array(1)), null);
  };
  const limited = within(patience, Promise.resolve().then(calls));
  for (const name of names) globals[name] = () => 0;
  try {
    await limited;
  } finally {
    names.forEach((name, i) => globals[name] = own[i]);
  }
});

test("Deadline: several calls share it", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const deadline = Deadline.after(200);
  assertEquals(deadline.timeout, 200);
  await client.write(bytes("ping"), { deadline });
  assertEquals(await server.read(new Uint8Array(8), { deadline }), 4);
  assert(!deadline.expired && deadline.remaining > 0 && deadline.remaining <= 200);
  await assertRejects(() => server.read(new Uint8Array(8), { deadline }), TimeoutError);
  assert(deadline.expired);
  assertEquals(deadline.remaining, 0);
  await assertRejects(() => client.write(bytes("ping"), { deadline }), TimeoutError);
});

// Half-open connections

test("closeWrite: ends our direction, not the peer's", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await client.write(bytes("question"));
  await client.closeWrite();
  await client.closeWrite();
  assertEquals(await readExactly(server, 8), bytes("question"));
  assertEquals(await server.read(new Uint8Array(8)), null);
  const error = await assertRejects(() => client.write(bytes("more")), SocketError);
  assertEquals([error.code, error.operation], ["EPIPE", "write"]);
  await sleep(100);
  const answer = server.write(streamBytes(0, 8 * megabyte)).then(() => server.closeWrite());
  assertEquals(await readStream(client), 8 * megabyte);
  await answer;
});

test("closeWrite: of the accepted end, and the other one goes on writing", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await server.closeWrite();
  assertEquals(await client.read(new Uint8Array(8)), null);
  await sleep(100);
  const question = client.write(streamBytes(0, 8 * megabyte)).then(() => client.closeWrite());
  assertEquals(await readStream(server), 8 * megabyte);
  await question;
});

test("closeWrite: also when the peer finishes without anyone reading", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await client.closeWrite();
  await sleep(50);
  for (let i = 0; i < 3; i++) {
    await server.write(bytes("still"));
    assertEquals(await readExactly(client, 5), bytes("still"));
    await sleep(20);
  }
});

test("closeWrite: waits for writes before it, and under the write timeout", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const filled = await fillUp(client);
  client.setTimeouts({ write: 60 });
  const error = await assertRejects(() => client.closeWrite(), TimeoutError);
  assertEquals([error.operation, error.timeout], ["write", 60]);
  // FIN was not sent, so writing goes on.
  const more = client.write(streamBytes(filled, 100_000), { timeout: patience });
  client.setTimeouts({ write: patience });
  const closed = client.closeWrite();
  await assertRejects(() => client.write(bytes("too late")), SocketError, "EPIPE");
  assertEquals(await readStream(server), filled + 100_000);
  await Promise.all([more, closed]);
});

test("write: to a peer that has gone rejects, and keeps rejecting", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  server.close();
  let error: unknown;
  for (let i = 0; i < 200 && error === undefined; i++) {
    error = await client.write(new Uint8Array(1_000)).then(() => sleep(5), (error) => error);
  }
  for (let i = 0; i < 2; i++) {
    assertInstanceOf(error, SocketError);
    assert(["EPIPE", "ECONNRESET"].includes(error.code), error.code);
    assertEquals(error.operation, "write");
    assertEquals(error.address?.port, client.remoteAddr.port);
    error = await client.write(new Uint8Array(1)).catch((error) => error);
  }
});

test("write: pending while the peer goes away rejects", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const pending = client.write(zeros).catch((error) => error);
  const queued = client.write(new Uint8Array(1)).catch((error) => error);
  await sleep(100);
  server.close();
  for (const error of await within(patience, Promise.all([pending, queued]))) {
    assertInstanceOf(error, SocketError);
    assert(["EPIPE", "ECONNRESET"].includes(error.code), error.code);
  }
});
