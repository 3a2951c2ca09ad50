import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { test } from "node:test";
import { assertEquals, assertRejects } from "@std/assert";
import { DeadPeerError, SocketError, TimeoutError } from "../../../src/errors.ts";
import { Deadline } from "../../../src/time/deadline.ts";
import { TimerQueue } from "../../../src/time/timers.ts";
import { Writer } from "../../../src/connection/writer.ts";
import { FakeClock, FakeTransport } from "../fakes.ts";

function setUp(timeout: number | null = 1_000) {
  const clock = new FakeClock();
  const wire = new FakeTransport();
  const writer = new Writer(wire, timeout, new TimerQueue(clock));
  wire.start({ data() {}, end() {}, failed() {} }, writer);
  return { clock, wire, writer };
}

const bytes = (...values: number[]) => Uint8Array.from(values);

test("writer: what the kernel takes at once resolves to the length, with no timer", async () => {
  const { clock, wire, writer } = setUp();
  assertEquals(await writer.write(bytes(1, 2, 3), undefined), 3);
  assertEquals(await writer.write(bytes(), undefined), 0);
  assertEquals(wire.sent, [1, 2, 3]);
  assertEquals(clock.started, 0);
});

test("writer: after a failure, the bytes of an earlier write are not counted for another", async () => {
  const { clock, wire, writer } = setUp();
  wire.room = 2;
  const failing = writer.write(bytes(1, 2, 3), undefined);
  wire.outgoing.failed(Object.assign(new Error(), { code: "ECONNRESET" }));
  await assertRejects(() => failing, SocketError);
  // The deadline is on the real clock.
  clock.advance(2 ** 40);
  const late = writer.write(bytes(4), { deadline: Deadline.after(0) });
  assertEquals((await assertRejects(() => late, TimeoutError)).bytesWritten, 0);
});

test("writer: after a failure, no memory of the caller is kept", async () => {
  const { wire, writer } = setUp();
  wire.room = 0;
  const failing = writer.write(bytes(1, 2, 3), undefined);
  wire.outgoing.failed(new Error());
  await assertRejects(() => failing, Error);
  assertEquals(writer.take().data.length, 0);
});

test("writer: a subscriber to dead peers that closes the connection does not hide the error", async () => {
  const { wire, writer } = setUp();
  wire.room = 0;
  const failing = writer.write(bytes(1), undefined);
  const close = () => writer.close();
  subscribe("holdfast.dead_peer", close);
  wire.outgoing.failed(Object.assign(new Error(), { code: "ETIMEDOUT" }));
  unsubscribe("holdfast.dead_peer", close);
  await assertRejects(() => failing, DeadPeerError);
});

test("writer: a peer that keeps up does not keep the event loop from turning", async () => {
  const { wire, writer } = setUp();
  wire.write = (data) => data.length;
  const chunk = new Uint8Array(65_536);
  let turned = false;
  setTimeout(() => turned = true, 1);
  let writes = 0;
  while (!turned && writes < 100_000) {
    assertEquals(await writer.write(chunk, undefined), chunk.length);
    writes++;
  }
  assertEquals(turned, true);
});

test("writer: writes settle in the order of the calls, also when one lets the event loop turn", async () => {
  const { wire, writer } = setUp();
  wire.write = (data) => data.length;
  const settled: number[] = [];
  const chunk = new Uint8Array(400_000);
  const calls = Array.from(
    { length: 9 },
    (_, i) => writer.write(chunk, undefined).then(() => settled.push(i)),
  );
  await Promise.all(calls);
  assertEquals(settled, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
});

test("writer: never short, over several rounds, in order", async () => {
  const { wire, writer } = setUp();
  wire.room = 2;
  const a = writer.write(bytes(1, 2, 3, 4, 5), undefined);
  const b = writer.write(bytes(6, 7), undefined);
  assertEquals(wire.sent, [1, 2]);
  wire.drain(2);
  assertEquals(wire.sent, [1, 2, 3, 4]);
  wire.drain(2);
  assertEquals(await a, 5);
  wire.drain(9);
  assertEquals(await b, 2);
  assertEquals(wire.sent, [1, 2, 3, 4, 5, 6, 7]);
  assertEquals(writer.bytesWritten, 7);
});

test("writer: a timeout says how far it came; going on from there yields the exact stream", async () => {
  const { clock, wire, writer } = setUp(50);
  wire.room = 2;
  const data = bytes(1, 2, 3, 4);
  const late = writer.write(data, undefined);
  const queued = writer.write(bytes(9), { timeout: 10 });
  clock.advance(10);
  assertEquals((await assertRejects(() => queued, TimeoutError)).bytesWritten, 0);
  clock.advance(40);
  const error = await assertRejects(() => late, TimeoutError);
  assertEquals([error.bytesWritten, error.operation], [2, "write"]);
  data.fill(0, 0, 2);
  const rest = writer.write(data.subarray(2), undefined);
  wire.drain(9);
  assertEquals(await rest, 2);
  assertEquals(wire.sent, [1, 2, 3, 4]);
});

test("writer: FIN goes out after the writes before it, and nothing after it", async () => {
  const { wire, writer } = setUp();
  wire.room = 1;
  const data = writer.write(bytes(1, 2), undefined);
  const fin = writer.closeWrite();
  assertEquals(
    (await assertRejects(() => writer.write(bytes(3), undefined), SocketError)).code,
    "EPIPE",
  );
  assertEquals(wire.log, []);
  wire.drain(9);
  await data;
  await fin;
  assertEquals(wire.log, ["FIN"]);
  await writer.closeWrite();
  assertEquals(wire.log, ["FIN"]);
});

test("writer: a FIN that could not be sent in time is not sent later", async () => {
  const { clock, wire, writer } = setUp(50);
  wire.room = 1;
  const data = writer.write(bytes(1, 2), { timeout: null });
  const fin = writer.closeWrite();
  clock.advance(50);
  await assertRejects(() => fin, TimeoutError);
  wire.drain(9);
  assertEquals(await data, 2);
  assertEquals(wire.log, []);
  assertEquals(await writer.write(bytes(3), undefined), 1);
});

test("writer: a second FIN is the first one, also when that comes too late", async () => {
  const { clock, wire, writer } = setUp(50);
  wire.room = 1;
  const data = writer.write(bytes(1, 2), { timeout: null });
  const late = [writer.closeWrite(), writer.closeWrite()];
  clock.advance(50);
  for (const fin of late) await assertRejects(() => fin, TimeoutError);
  wire.drain(9);
  await data;
  assertEquals(wire.log, []);
  await Promise.all([writer.closeWrite(), writer.closeWrite()]);
  await writer.closeWrite();
  assertEquals(wire.log, ["FIN"]);
});

test("writer: memory that is taken away while a write waits ends that write only", async () => {
  const { wire, writer } = setUp();
  wire.room = 2;
  const [started, waiting] = [bytes(1, 2, 3, 4), bytes(5, 6)];
  const late = [started, waiting].map((data) => writer.write(data, undefined));
  const last = writer.write(bytes(7), undefined);
  for (const { buffer } of [started, waiting]) structuredClone(buffer, { transfer: [buffer] });
  wire.drain(9);
  for (const call of late) await assertRejects(() => call, TypeError, "'data'");
  assertEquals(await last, 1);
  assertEquals(wire.sent, [1, 2, 7]);
});

test("writer: an error rejects every call, pending and later", async () => {
  const { wire, writer } = setUp();
  wire.room = 0;
  const pending = [writer.write(bytes(1), undefined), writer.write(bytes(2), undefined)];
  const cause = Object.assign(new Error("gone"), { code: "EHOSTUNREACH" });
  writer.failed(cause);
  pending.push(writer.write(bytes(3), undefined));
  for (const call of pending) {
    const error = await assertRejects(() => call, DeadPeerError);
    assertEquals([error.code, error.cause], ["EHOSTUNREACH", cause]);
  }
});

test("writer: close rejects what waits with ECANCELED, and what comes with EBADF", async () => {
  const { clock, wire, writer } = setUp();
  wire.room = 0;
  const pending = writer.write(bytes(1), undefined);
  writer.close();
  assertEquals((await assertRejects(() => pending, SocketError)).code, "ECANCELED");
  const late = () => writer.write(bytes(1), undefined);
  assertEquals((await assertRejects(late, SocketError)).code, "EBADF");
  assertEquals((await assertRejects(() => writer.closeWrite(), SocketError)).code, "EBADF");
  assertEquals(clock.running, 0);
});

test("writer: an abort rejects with the reason; the difference of bytesWritten tells the rest", async () => {
  const { wire, writer } = setUp();
  wire.room = 3;
  const controller = new AbortController();
  const pending = writer.write(bytes(1, 2, 3, 4, 5), { signal: controller.signal });
  controller.abort("enough");
  assertEquals(await pending.catch((reason) => reason), "enough");
  assertEquals(writer.bytesWritten, 3);
});
