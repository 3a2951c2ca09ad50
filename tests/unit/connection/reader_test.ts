import { test } from "node:test";
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { DeadPeerError, SocketError, TimeoutError } from "../../../src/errors.ts";
import { Reader } from "../../../src/connection/reader.ts";
import { TimerQueue } from "../../../src/time/timers.ts";
import { FakeClock, FakeTransport } from "../fakes.ts";

function setUp(timeout: number | null = 1_000) {
  const clock = new FakeClock();
  const wire = new FakeTransport();
  const reader = new Reader(wire, timeout, new TimerQueue(clock));
  return { clock, wire, reader };
}

const bytes = (...values: number[]) => Uint8Array.from(values);
const chunkOf = async (reader: Reader) => {
  let taken: Uint8Array | undefined;
  await reader.readChunk((chunk) => (taken = chunk).length);
  return taken;
};
const read = async (reader: Reader, size: number) => {
  const into = new Uint8Array(size);
  const count = await reader.read(into, undefined);
  return count === null ? null : [...into.subarray(0, count)];
};

test("reader: a read that waits gets the bytes that arrive, the rest is kept in order", async () => {
  const { wire, reader } = setUp();
  const first = read(reader, 2);
  assertEquals(wire.pulls, 1);
  reader.data(bytes(1, 2, 3, 4, 5), false);
  assertEquals(await first, [1, 2]);
  reader.data(bytes(6), false);
  assertEquals(await read(reader, 3), [3, 4, 5]);
  assertEquals(await read(reader, 3), [6]);
  assertEquals(reader.bytesRead, 6);
});

test("reader: one read takes from several chunks", async () => {
  const { reader } = setUp();
  reader.data(bytes(1, 2), false);
  reader.data(bytes(3), false);
  reader.data(bytes(4, 5, 6), false);
  assertEquals(await read(reader, 5), [1, 2, 3, 4, 5]);
  assertEquals(await read(reader, 5), [6]);
});

test("reader: a lent chunk is copied before the lender uses it again", async () => {
  const { reader } = setUp();
  const lent = bytes(1, 2, 3);
  const first = read(reader, 1);
  reader.data(lent, true);
  lent.fill(9);
  reader.data(lent, true);
  lent.fill(8);
  assertEquals(await first, [1]);
  assertEquals(await read(reader, 9), [2, 3, 9, 9, 9]);
});

test("reader: a chunk whose bytes were all copied goes back, not one that was lent or given away", async () => {
  const { wire, reader } = setUp();
  const copied: Uint8Array[] = [];
  Object.assign(wire, { copied: (chunk: Uint8Array) => copied.push(chunk) });
  const [whole, inParts, given] = [bytes(1, 2), bytes(3, 4, 5), bytes(6)] as const;
  const first = read(reader, 2);
  reader.data(whole, false);
  assertEquals(await first, [1, 2]);
  assertEquals(copied.splice(0), [whole]);
  reader.data(inParts, false);
  assertEquals(await read(reader, 2), [3, 4]);
  assertEquals(copied, []);
  assertEquals(await read(reader, 2), [5]);
  assertEquals(copied.splice(0), [inParts]);
  reader.data(given, false);
  assertEquals(await chunkOf(reader), given);
  const last = read(reader, 1);
  reader.data(bytes(7), true);
  assertEquals(await last, [7]);
  assertEquals(copied, []);
});

test("reader: a timeout ends the wait, not the data, and leaves the buffer alone", async () => {
  const { clock, reader } = setUp(50);
  const into = new Uint8Array(4);
  const late = reader.read(into, undefined);
  clock.advance(50);
  const error = await assertRejects(() => late, TimeoutError);
  assertEquals([error.operation, error.timeout, error.code], ["read", 50, "ETIMEDOUT"]);
  reader.data(bytes(1, 2), false);
  assertEquals([...into], [0, 0, 0, 0]);
  assertEquals(await read(reader, 4), [1, 2]);
});

test("reader: a read that is served in time does not time out", async () => {
  const { clock, reader } = setUp(50);
  const first = read(reader, 1);
  clock.advance(49);
  reader.data(bytes(1), false);
  assertEquals(await first, [1]);
  clock.advance(1_000);
  assertEquals(clock.running, 0);
});

test("reader: reads are served in the order of the calls, each with its own clock", async () => {
  const { clock, wire, reader } = setUp(100);
  const a = read(reader, 1);
  clock.advance(60);
  const short = reader.read(new Uint8Array(1), { timeout: 10 });
  const b = read(reader, 1);
  clock.advance(10);
  await assertRejects(() => short, TimeoutError);
  clock.advance(30);
  await assertRejects(() => a, TimeoutError);
  reader.data(bytes(7, 8), false);
  assertEquals(await b, [7]);
  assertEquals(await read(reader, 1), [8]);
  const c = read(reader, 1), d = read(reader, 1);
  const pulls = wire.pulls;
  reader.data(bytes(9), false);
  assertEquals(wire.pulls > pulls, true, "the second read still wants data");
  reader.data(bytes(10), false);
  assertEquals([await c, await d], [[9], [10]]);
});

test("reader: the end comes after the data, and stays", async () => {
  const { reader } = setUp();
  reader.data(bytes(1), false);
  reader.end();
  assertEquals(await read(reader, 4), [1]);
  assertEquals(await read(reader, 4), null);
  reader.failed(Object.assign(new Error(), { code: "ECONNRESET" }));
  assertEquals(await read(reader, 4), null);
});

test("reader: a read that finds the end while it receives directly does not wait", async () => {
  const { wire, reader } = setUp();
  const receive = () => {
    reader.end();
    return 0;
  };
  Object.assign(wire, { receive });
  assertEquals(await read(reader, 65_536), null);
  assertEquals(wire.pulls, 0);
});

test("reader: an error comes after the data, and stays, for every pending call", async () => {
  const { reader } = setUp();
  const cause = Object.assign(new Error("gone"), { code: "ETIMEDOUT" });
  reader.data(bytes(1), false);
  reader.failed(cause);
  reader.end();
  assertEquals(await read(reader, 4), [1]);
  for (let i = 0; i < 2; i++) {
    const error = await assertRejects(() => read(reader, 4), DeadPeerError);
    assertEquals(error.cause, cause);
  }
});

test("reader: close rejects what waits with ECANCELED, and what comes with EBADF", async () => {
  const { clock, reader } = setUp();
  const pending = read(reader, 1);
  reader.close();
  reader.data(bytes(1), false);
  assertEquals((await assertRejects(() => pending, SocketError)).code, "ECANCELED");
  assertEquals((await assertRejects(() => read(reader, 1), SocketError)).code, "EBADF");
  assertEquals(clock.running, 0);
});

test("reader: too much unread data pauses the transport, reading resumes it", async () => {
  const { wire, reader } = setUp();
  reader.data(new Uint8Array(60_000), false);
  reader.data(new Uint8Array(60_000), false);
  assertEquals(wire.pauses, 0);
  reader.data(new Uint8Array(60_000), false);
  assertEquals([wire.pauses, wire.pulls], [1, 0]);
  await read(reader, 90_000);
  assertEquals(wire.pulls, 0);
  await read(reader, 80_000);
  assertEquals(wire.pulls, 1);
});

test("reader: one chunk that is read at once pauses nothing, however large", async () => {
  const { wire, reader } = setUp();
  for (let i = 0; i < 3; i++) {
    reader.data(new Uint8Array(500_000), false);
    assertEquals((await read(reader, 500_000))!.length, 500_000);
  }
  assertEquals([wire.pauses, wire.pulls], [0, 0]);
});

test("reader: many tiny chunks pause the transport as well, reading resumes it", async () => {
  const { wire, reader } = setUp();
  for (let i = 0; i < 256; i++) reader.data(bytes(i), false);
  assertEquals(wire.pauses, 0);
  for (let i = 256; i < 300; i++) reader.data(bytes(i), false);
  assertEquals([wire.pauses, wire.pulls], [1, 0]);
  assertEquals((await read(reader, 172))!.length, 172);
  assertEquals([wire.pauses, wire.pulls], [1, 0]);
  assertEquals(await read(reader, 1), [172]);
  assertEquals([wire.pauses, wire.pulls], [1, 1]);
});

test("reader: an abort rejects with the signal's reason and loses nothing", async () => {
  const { reader } = setUp();
  const controller = new AbortController();
  const pending = reader.read(new Uint8Array(1), { signal: controller.signal });
  controller.abort(undefined);
  assertInstanceOf(await assertRejects(() => pending), DOMException);
  reader.data(bytes(5), false);
  const late = reader.read(new Uint8Array(1), { signal: controller.signal });
  assertInstanceOf(await assertRejects(() => late), DOMException);
  assertEquals(await read(reader, 1), [5]);
});

test("reader: chunks are given away whole", async () => {
  const { reader } = setUp();
  const pending = chunkOf(reader);
  const chunk = bytes(1, 2, 3);
  reader.data(chunk, false);
  assertEquals(await pending === chunk, true);
  reader.data(bytes(4, 5), true);
  await read(reader, 1);
  assertEquals([...(await chunkOf(reader))!], [5]);
  reader.end();
  assertEquals(await chunkOf(reader), undefined);
  assertEquals(reader.bytesRead, 5);
});

test("reader: what a chunk's taker leaves comes first for the calls behind it", async () => {
  const { reader } = setUp();
  const takers = [0, 1].map((size) => reader.readChunk(() => size));
  const behind = [read(reader, 2), read(reader, 9)];
  reader.data(bytes(1, 2, 3, 4), true);
  reader.end();
  assertEquals(await Promise.all(takers), [0, 1]);
  assertEquals(await Promise.all(behind), [[2, 3], [4]]);
  assertEquals(reader.bytesRead, 4);
});

test("reader: after a failure, no memory of the caller is kept", async () => {
  const { reader } = setUp();
  const failing = reader.read(new Uint8Array(1), undefined);
  reader.failed(new Error());
  await assertRejects(() => failing, Error);
  assertEquals(reader.take().into, undefined);
});
