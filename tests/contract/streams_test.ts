import { createHash } from "node:crypto";
import process from "node:process";
import { test } from "node:test";
import {
  assert,
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertLess,
  assertStrictEquals,
} from "@std/assert";
import { SocketError, TimeoutError } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import {
  cannotSet,
  firstDifference,
  noTables,
  openDescriptors,
  overTls,
  pair,
  patience,
  readExactly,
  sleep,
  streamBytes,
  until,
  within,
} from "./support.ts";
import { errorOf } from "./support_listen.ts";

const noReset = cannotSet("reset");
const megabyte = 2 ** 20;

test("streams: the same object every time", async () => {
  using sockets = await pair();
  const { client } = sockets;
  assertStrictEquals(client.readable, client.readable);
  assertStrictEquals(client.writable, client.writable);
  assertInstanceOf(client.readable, ReadableStream);
  assertInstanceOf(client.writable, WritableStream);
});

test("streams: an echo server is one line", skip(noTables), async () => {
  const before = openDescriptors();
  using sockets = await pair();
  const { client, server } = sockets;
  const echo = server.readable.pipeTo(server.writable);
  const size = 10 * megabyte;
  const sent = client.write(streamBytes(0, size)).then(() => client.closeWrite());
  let position = 0;
  for await (const chunk of client.readable) {
    assertEquals(firstDifference(chunk, position), -1);
    position += chunk.length;
  }
  assertEquals(position, size);
  await Promise.all([sent, echo]);
  assertEquals([client.bytesRead, server.bytesRead, server.bytesWritten], [size, size, size]);
  // Both streams of the server have ended, so its connection is closed.
  const error = await errorOf(server.read(new Uint8Array(1)));
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, "EBADF");
  sockets[Symbol.dispose]();
  await until(() => openDescriptors() <= before, "every descriptor is closed", 5_000);
});

test("streams: through a transform, as text", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const writer = server.writable.getWriter();
  for (const part of ["h\u00e9llo ", "w\u00f6rld"]) {
    await writer.write(new TextEncoder().encode(part));
  }
  await writer.close();
  let text = "";
  const decoded = client.readable
    .pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>);
  const reader = decoded.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) text += part.value;
  assertEquals(text, "h\u00e9llo w\u00f6rld");
});

test("streams: a slow reader stops the sender", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const chunk = streamBytes(0, megabyte);
  const hash = createHash("sha256");
  let stop = false;
  const sent = (async () => {
    const writer = client.writable.getWriter();
    let chunks = 0;
    for (; !stop; chunks++) {
      await writer.ready;
      await writer.write(chunk);
      hash.update(chunk);
    }
    await writer.close();
    return chunks * chunk.length;
  })();
  const reader = server.readable.getReader();
  const received = createHash("sha256");
  received.update((await reader.read()).value!);
  await sleep(500);
  const stalled = client.bytesWritten;
  const memory = process.memoryUsage().rss;
  await sleep(500);
  // Nothing moves any more, since the kernel is full and neither end buffers without a limit.
  assertEquals(client.bytesWritten, stalled);
  assertLess(stalled - server.bytesRead, 16 * megabyte);
  assertLess(server.bytesRead, 2 * megabyte);
  assertLess(process.memoryUsage().rss - memory, 16 * megabyte);
  stop = true;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    received.update(part.value);
  }
  const total = await within(patience, sent);
  assertEquals(server.bytesRead, total);
  assertEquals(received.digest("hex"), hash.digest("hex"));
});

test("streams: memory stays flat while a slow reader takes 160 MB", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const chunk = new Uint8Array(megabyte);
  const total = 160 * megabyte;
  const sent = (async () => {
    const writer = client.writable.getWriter();
    for (let i = 0; i < total; i += chunk.length) await writer.write(chunk);
    await writer.close();
  })();
  let position = 0;
  let base = 0;
  let highest = 0;
  for await (const part of server.readable) {
    position += part.length;
    if (position % megabyte < part.length) {
      const { rss } = process.memoryUsage();
      if (base === 0 && position > 20 * megabyte) base = rss;
      highest = Math.max(highest, rss);
    }
    if (position % (4 * megabyte) < part.length) await sleep(5);
  }
  await sent;
  assertEquals(position, total);
  assertGreater(base, 0);
  // Garbage of chunks comes and goes, but 140 MB that are kept would be noticed.
  assertLess(highest - base, 120 * megabyte);
});

test("readable: errors with TimeoutError when nothing comes in time", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  client.setTimeouts({ read: 80 });
  await server.write(Uint8Array.of(1, 2, 3));
  const reader = client.readable.getReader();
  assertEquals((await reader.read()).value, Uint8Array.of(1, 2, 3));
  const error = await errorOf(reader.read());
  assertInstanceOf(error, TimeoutError);
  assertEquals([error.timeout, error.operation], [80, "read"]);
  assertStrictEquals(await errorOf(reader.closed), error);
  // The stream is over, but the connection is not, and still has the bytes.
  await server.write(Uint8Array.of(4));
  assertEquals(await readExactly(client, 1), Uint8Array.of(4));
});

test("writable: errors with TimeoutError when nothing leaves in time", async () => {
  using sockets = await pair();
  const { client } = sockets;
  client.setTimeouts({ write: 80 });
  const writer = client.writable.getWriter();
  writer.closed.catch(() => {});
  const error = await errorOf(writer.write(new Uint8Array(32 * megabyte)));
  assertInstanceOf(error, TimeoutError);
  assertEquals([error.timeout, error.operation], [80, "write"]);
  assertEquals(error.bytesWritten, client.bytesWritten);
  writer.releaseLock();
});

test("readable: chunks are the reader's own", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const reader = client.readable.getReader();
  await server.write(Uint8Array.of(1, 1, 1));
  const first = (await reader.read()).value!;
  await server.write(Uint8Array.of(2, 2, 2));
  const second = (await reader.read()).value!;
  assertEquals([[...first], [...second]], [[1, 1, 1], [2, 2, 2]]);
});

test("readable: reads into the caller's buffer", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const reader = client.readable.getReader({ mode: "byob" });
  await server.write(streamBytes(0, 100));
  let view = new Uint8Array(64);
  let position = 0;
  while (position < 100) {
    const { value } = await reader.read(view);
    assertEquals(firstDifference(value!, position), -1);
    position += value!.length;
    view = new Uint8Array(value!.buffer);
  }
  await server.closeWrite();
  assertEquals((await within(patience, reader.read(view))).done, true);
});

test("writable: close sends FIN, and reading goes on", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const writer = client.writable.getWriter();
  writer.write(streamBytes(0, megabyte));
  const closed = writer.close();
  const got = await readExactly(server, megabyte);
  assertEquals(firstDifference(got, 0), -1);
  assertEquals(await server.read(new Uint8Array(1)), null);
  await closed;
  await server.write(Uint8Array.of(9));
  assertEquals(await readExactly(client, 1), Uint8Array.of(9));
});

test("writable: abort resets", skip(noReset), async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await client.writable.abort(new Error("no more"));
  const error = await errorOf(server.read(new Uint8Array(1)));
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, "ECONNRESET");
});

test("writable: abort while a write waits", skip(noReset), async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const writer = client.writable.getWriter();
  writer.closed.catch(() => {});
  const pending = errorOf(writer.write(new Uint8Array(32 * megabyte)));
  await sleep(50);
  const aborted = writer.abort("no more");
  await within(patience, Promise.all([pending, aborted]));
  const drain = (async () => {
    while (await server.read(new Uint8Array(megabyte)) !== null);
  })();
  const error = await errorOf(drain);
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, "ECONNRESET");
});

test("readable: cancel, then the end of the writable, closes the connection", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await client.readable.cancel();
  // Our direction is still open.
  const writer = client.writable.getWriter();
  await writer.write(Uint8Array.of(1));
  assertEquals(await readExactly(server, 1), Uint8Array.of(1));
  await writer.close();
  assertEquals(await server.read(new Uint8Array(1)), null);
  const error = await errorOf(client.read(new Uint8Array(1)));
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, "EBADF");
});

test("readable: cancel with data on its way keeps nothing waiting", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const reader = client.readable.getReader();
  await server.write(streamBytes(0, 1_000));
  assertGreater((await reader.read()).value!.length, 0);
  await reader.cancel("enough");
  assertEquals((await reader.read()).done, true);
});

test("readable: cancel while a read waits leaves what comes later to the connection", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const reader = client.readable.getReader();
  const pending = reader.read();
  await sleep(20);
  await reader.cancel();
  assertEquals((await pending).done, true);
  const next = readExactly(client, 1_000);
  await server.write(streamBytes(0, 1_000));
  assertEquals(firstDifference(await within(patience, next), 0), -1);
  assertEquals(client.bytesRead, 1_000);
});

test("readable: a reader that left does not change the order of bytes, busy or not", async () => {
  for (const busy of [false, true]) {
    using sockets = await pair();
    const { client, server } = sockets;
    const reader = client.readable.getReader();
    await server.write(new Uint8Array([0]));
    assertEquals((await reader.read()).value, new Uint8Array([0]));
    for (const n of [1, 2, 3]) {
      await server.write(new Uint8Array(1_000).fill(n));
      await sleep(50);
    }
    const writes: Promise<number>[] = [];
    // So many calls in one turn of the event loop make the next ones wait for another turn.
    for (let i = 0; busy && i < 600; i++) {
      if (i === 300) { for (const end = performance.now() + 10; performance.now() < end;); }
      writes.push(client.write(new Uint8Array(1)));
    }
    const left = reader.read().then(({ value }) => value!, () => new Uint8Array(0));
    reader.releaseLock();
    const into = new Uint8Array(3_000);
    const behind = client.read(into);
    const before = await within(patience, left);
    const size = before.length + (await within(patience, behind))!;
    const rest = await within(patience, readExactly(client, 3_000 - size));
    const bytes = new Uint8Array(3_000);
    bytes.set(before);
    bytes.set(into.subarray(0, size - before.length), before.length);
    bytes.set(rest, size);
    for (const [i, n] of [1, 2, 3].entries()) {
      assertEquals(bytes.subarray(1_000 * i, 1_000 * (i + 1)), new Uint8Array(1_000).fill(n));
    }
    await Promise.all(writes);
  }
});

test("streams: close() ends both", async () => {
  using sockets = await pair();
  const { client } = sockets;
  const reader = client.readable.getReader();
  const writer = client.writable.getWriter();
  writer.closed.catch(() => {});
  const pending = [reader.read(), writer.write(new Uint8Array(32 * megabyte))].map(errorOf);
  await sleep(20);
  client.close();
  for (const error of await Promise.all(pending)) {
    assertInstanceOf(error, SocketError);
    assertEquals(error.code, "ECANCELED");
  }
});

test("readable: a peer's reset errors the stream", skip(noReset), async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const reader = client.readable.getReader();
  const pending = errorOf(reader.read());
  server.reset();
  const error = await pending;
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, "ECONNRESET");
  assert(error.cause !== undefined);
});

test("writable: a chunk that is no Uint8Array is refused, and nothing is sent", async () => {
  for (const chunk of ["text", new Uint16Array(2), new ArrayBuffer(2), [1, 2], 5, undefined]) {
    using sockets = await pair();
    const { client, server } = sockets;
    const writer = (client.writable as WritableStream<unknown>).getWriter();
    writer.closed.catch(() => {});
    assertInstanceOf(await errorOf(writer.write(chunk)), TypeError);
    client.close();
    const end = await server.read(new Uint8Array(9)).catch((error: unknown) => error);
    // OpenSSL's tickets for later sessions may have come unread, so that the kernel sends RST.
    if (overTls && end instanceof SocketError) assertEquals(end.code, "ECONNRESET");
    else assertEquals(end, null);
  }
});

test(
  "streams: a pipe that broke off closes the connection, not as if it were whole",
  skip(noReset ?? noTables),
  async () => {
    const before = openDescriptors();
    {
      using sockets = await pair({ connect: { timeout: 30_000 } });
      const { client, server } = sockets;
      // Our own echo server, and a client that sends and never reads.
      server.setTimeouts({ write: 80 });
      const echo = errorOf(server.readable.pipeTo(server.writable));
      const sending = errorOf(client.write(new Uint8Array(64 * megabyte)));
      assertInstanceOf(await echo, TimeoutError);
      const late = await errorOf(server.read(new Uint8Array(1)));
      assertInstanceOf(late, SocketError);
      assertEquals(late.code, "EBADF");
      assertInstanceOf(await sending, SocketError);
      const drain = (async () => {
        while (await client.read(new Uint8Array(megabyte)) !== null);
      })();
      const error = await errorOf(drain);
      assertInstanceOf(error, SocketError);
      assertEquals(error.code, "ECONNRESET");
    }
    await until(() => openDescriptors() <= before, "descriptors closed");
  },
);

test("streams: when reading times out after our FIN, nothing stays open", async () => {
  using sockets = await pair();
  const { client } = sockets;
  client.setTimeouts({ read: 80 });
  await client.writable.close();
  const reader = client.readable.getReader();
  reader.closed.catch(() => {});
  assertInstanceOf(await errorOf(reader.read()), TimeoutError);
  const error = await errorOf(client.read(new Uint8Array(1)));
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, "EBADF");
});

for (const mode of ["byob", "default"] as const) {
  test(`readable: what a ${mode} reader has not taken is the connection's`, async () => {
    using sockets = await pair();
    const { client, server } = sockets;
    await server.write(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9));
    await sleep(20);
    if (mode === "byob") {
      const reader = client.readable.getReader({ mode });
      const { value } = await reader.read(new Uint8Array(3));
      assertEquals(value, Uint8Array.of(1, 2, 3));
      assertEquals(client.bytesRead, 3);
      reader.releaseLock();
      const into = new Uint8Array(3);
      assertEquals(await within(patience, client.read(into)), 3);
      assertEquals(into, Uint8Array.of(4, 5, 6));
      const again = client.readable.getReader({ mode });
      assertEquals((await again.read(new Uint8Array(9))).value, Uint8Array.of(7, 8, 9));
      again.releaseLock();
    } else {
      assertEquals(await readExactly(client, 9), Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9));
    }
    // A reader that leaves while it waits.
    const left = mode === "byob"
      ? client.readable.getReader({ mode })
      : client.readable.getReader();
    const waiting = ("releaseLock" in left && mode === "byob"
      ? (left as ReadableStreamBYOBReader).read(new Uint8Array(2))
      : (left as ReadableStreamDefaultReader).read()).catch(() => {});
    await sleep(10);
    left.releaseLock();
    await waiting;
    const size = client.read(new Uint8Array(5));
    await server.write(Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
    assertEquals(await within(patience, size), 5);
    const last = client.readable.getReader();
    assertEquals((await within(patience, last.read())).value, Uint8Array.of(6, 7));
    assertEquals(client.bytesRead, 16);
    last.releaseLock();
  });
}
