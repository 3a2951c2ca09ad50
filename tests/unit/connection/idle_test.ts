import { test } from "node:test";
import { assertEquals, assertRejects } from "@std/assert";
import { Idle } from "../../../src/connection/idle.ts";
import { Reader } from "../../../src/connection/reader.ts";
import { Writer } from "../../../src/connection/writer.ts";
import { TimeoutError } from "../../../src/errors.ts";
import { TimerQueue } from "../../../src/time/timers.ts";
import { FakeClock, FakeTransport } from "../fakes.ts";

/** Both halves of a connection without limits of their own, under an idle limit of a second. */
function setUp() {
  const clock = new FakeClock();
  const wire = new FakeTransport();
  const timers = new TimerQueue(clock);
  const reader = new Reader(wire, null, timers);
  const writer = new Writer(wire, null, timers);
  wire.start(reader, writer);
  const idle = new Idle(1_000, reader, writer, wire.native, timers);
  reader.idle = writer.idle = idle;
  return { clock, wire, reader, writer, idle };
}

/** Records how a call ends: "waits", "done", or the operation of its TimeoutError. */
function outcome(call: Promise<unknown>): { now: string } {
  const state = { now: "waits" };
  call.then(() => state.now = "done", (error) => {
    state.now = error instanceof TimeoutError ? error.operation : String(error);
  });
  return state;
}

const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 0));
const one = () => new Uint8Array(1);

test("idle: no timer while no call waits", async () => {
  const { clock, wire, reader, writer } = setUp();
  await writer.write(one(), undefined);
  wire.incoming.data(one(), false);
  await reader.read(one(), undefined);
  assertEquals(clock.started, 0);
});

test("idle: ends every waiting call after the limit, and not before", async () => {
  const { clock, wire, reader, writer } = setUp();
  wire.room = 0;
  const calls = [reader.read(one(), undefined), writer.write(one(), undefined)].map(outcome);
  clock.advance(999);
  await turn();
  assertEquals(calls.map(({ now }) => now), ["waits", "waits"]);
  clock.advance(1);
  await turn();
  assertEquals(calls.map(({ now }) => now), ["idle", "idle"]);
});

test("idle: a limit that is set while a call waits counts from then on", async () => {
  const { clock, wire, reader, writer } = setUp();
  reader.idle = writer.idle = undefined;
  clock.advance(5_000);
  const first = outcome(reader.read(one(), undefined));
  reader.idle = writer.idle = new Idle(1_000, reader, writer, wire.native, reader.timers);
  const second = outcome(reader.read(one(), undefined));
  clock.advance(999);
  await turn();
  assertEquals([first.now, second.now], ["waits", "waits"]);
  clock.advance(1);
  await turn();
  assertEquals([first.now, second.now], ["idle", "idle"]);
});

test("idle: a byte in either direction starts the limit anew", async () => {
  const { clock, wire, reader, writer } = setUp();
  const reading = outcome(reader.read(one(), undefined));
  clock.advance(600);
  await writer.write(one(), undefined);
  clock.advance(999);
  await turn();
  assertEquals(reading.now, "waits");
  wire.room = 0;
  const writing = outcome(writer.write(one(), undefined));
  wire.incoming.data(one(), false);
  clock.advance(999);
  await turn();
  assertEquals([reading.now, writing.now], ["done", "waits"]);
  clock.advance(1);
  await turn();
  assertEquals(writing.now, "idle");
});

test("idle: time without a waiting call does not count", async () => {
  const { clock, reader } = setUp();
  clock.advance(5_000);
  const first = outcome(reader.read(one(), undefined));
  clock.advance(999);
  await turn();
  assertEquals(first.now, "waits");
  clock.advance(1);
  await turn();
  assertEquals(first.now, "idle");
  clock.advance(5_000);
  const second = outcome(reader.read(one(), undefined));
  clock.advance(999);
  await turn();
  assertEquals(second.now, "waits");
  // A waiting call would keep the process alive.
  reader.close();
});

test("idle: a call's own limit that is earlier counts", async () => {
  const { clock, reader } = setUp();
  const reading = outcome(reader.read(one(), { timeout: 400 }));
  clock.advance(400);
  await turn();
  assertEquals(reading.now, "read");
});

test("idle: the error names the idle limit, and nothing rings after close", async () => {
  const { clock, reader, writer } = setUp();
  const reading = reader.read(one(), undefined);
  const rejected = assertRejects(() => reading, TimeoutError);
  clock.advance(1_000);
  const error = await rejected as TimeoutError;
  assertEquals([error.operation, error.timeout], ["idle", 1_000]);
  outcome(reader.read(one(), undefined));
  reader.close();
  writer.close();
  assertEquals(clock.running, 0);
});
