import { test } from "node:test";
import { assertEquals, assertRejects } from "@std/assert";
import type { IncomingConnections, ListenerTransport } from "../../src/adapter.ts";
import type { NetAddr } from "../../src/kernel/address.ts";
import { Listener } from "../../src/listener.ts";
import { TimerQueue } from "../../src/time/timers.ts";
import { FakeClock, FakeTransport } from "./fakes.ts";

class FakeListenerTransport implements ListenerTransport {
  readonly native = {};
  readonly addr: NetAddr = { transport: "tcp", hostname: "192.0.2.1", port: 1 };
  incoming!: IncomingConnections;
  pulls = 0;
  start(incoming: IncomingConnections): void {
    this.incoming = incoming;
  }
  pull(): void {
    this.pulls++;
  }
  close(): void {}
  ref(): void {}
  unref(): void {}
}

/** A listener, and a loop over it that counts. */
function setUp() {
  const clock = new FakeClock();
  const transport = new FakeListenerTransport();
  const timeouts = { accept: null, read: null, write: null };
  const listener = new Listener(transport, timeouts, {}, new TimerQueue(clock));
  const loop = { seen: 0, ended: false };
  const outcome = (async () => {
    for await (const _ of listener) loop.seen++;
  })().finally(() => loop.ended = true);
  const fail = async (code: string) => {
    transport.incoming.failed(Object.assign(new Error(code), { code }));
    await settled();
  };
  return { clock, transport, listener, loop, outcome, fail };
}

/** Resolves after all promise reactions so far. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

test("iteration: after a temporary error it waits, twice as long each time, up to a second", async () => {
  const { clock, transport, listener, loop, outcome, fail } = setUp();
  /** Asserts that the loop calls `accept` again after `ms`, and not before. */
  const waits = async (ms: number, code: string) => {
    const { pulls } = transport;
    await fail(code);
    clock.advance(ms - 1);
    await settled();
    assertEquals(transport.pulls, pulls);
    clock.advance(1);
    await settled();
    assertEquals(transport.pulls, pulls + 1);
  };
  await waits(5, "EMFILE");
  await waits(10, "ENFILE");
  await waits(20, "ENOBUFS");
  await waits(40, "ENOMEM");
  await waits(80, "ECONNABORTED");
  for (const ms of [160, 320, 640, 1_000, 1_000]) await waits(ms, "EMFILE");
  transport.incoming.accepted(new FakeTransport());
  await settled();
  assertEquals(loop.seen, 1);
  await waits(5, "EMFILE");
  listener.close();
  await outcome;
});

test("iteration: close ends the wait at once, and the loop just ends", async () => {
  const { clock, transport, listener, loop, outcome, fail } = setUp();
  await fail("EMFILE");
  assertEquals([clock.running, loop.ended], [1, false]);
  listener.close();
  await settled();
  assertEquals([clock.running, loop.ended, transport.pulls], [0, true, 1]);
  await outcome;
});

test("iteration: close between an error and the wait leaves none", async () => {
  const { clock, listener, loop, outcome, fail } = setUp();
  const failing = fail("EMFILE");
  listener.close();
  await failing;
  assertEquals([clock.running, loop.ended], [0, true]);
  await outcome;
});

test("iteration: loops that wait side by side all end with the listener", async () => {
  const { clock, listener, loop, outcome, fail } = setUp();
  let ended = false;
  const second = (async () => {
    for await (const _ of listener);
    ended = true;
  })();
  await fail("EMFILE");
  await fail("EMFILE");
  listener.close();
  await settled();
  assertEquals([clock.running, loop.ended, ended], [0, true, true]);
  await Promise.all([outcome, second]);
});

test("iteration: errors that came while it waited after one count as one", async () => {
  const { clock, transport, listener, outcome, fail } = setUp();
  for (let i = 0; i < 9; i++) await fail("EMFILE");
  clock.advance(5);
  await settled();
  clock.advance(10);
  await settled();
  assertEquals([clock.running, transport.pulls], [0, 2]);
  listener.close();
  await outcome;
});

test("iteration: any other error ends the loop and closes the listener", async () => {
  const { listener, outcome, fail } = setUp();
  const rejected = assertRejects(() => outcome, Error, "EINVAL");
  await fail("EINVAL");
  await rejected;
  assertEquals(listener.isClosed, true);
});
