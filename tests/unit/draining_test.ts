/** Draining of a listener whose descriptor is unknown: it only sees what comes. The rest is in contract/drain_test. */

import { test } from "node:test";
import { assert, assertEquals, assertLess } from "@std/assert";
import { type Drainable, Draining, settles } from "../../src/draining.ts";
import { dueOf } from "../../src/time/calls.ts";
import { Deadline } from "../../src/time/deadline.ts";
import { timers } from "../../src/time/timers.ts";

/** A listener, and how often its transport was told what. */
function setUp(other: { shared?: boolean; stop?: () => void; running?: number } = {}) {
  const calls = { pull: 0, close: 0 };
  const handshakes = { running: other.running ?? 0, failed: 0 };
  const listener = {
    transport: {
      native: {},
      addr: { transport: "tcp" as const, hostname: "192.0.2.1", port: 1 },
      start() {},
      pull: () => void calls.pull++,
      close: () => void calls.close++,
      unref() {},
      handshakes,
      ...other.stop !== undefined && { stop: other.stop },
    },
    shared: other.shared ?? false,
    came: 0,
    idle: true as boolean,
  } satisfies Drainable;
  return { listener, calls, handshakes, draining: new Draining(listener) };
}

const soon = () => timers.now() + 10_000;

test("draining: it closes when nothing has come for 0.2 s, and is over at a later look", async () => {
  const start = performance.now();
  const { listener, calls, draining } = setUp();
  const over: number[] = [];
  await settles(() => {
    const result = draining.look();
    over.push(calls.close);
    return result;
  }, soon());
  assert(performance.now() - start >= 190);
  // On a busy machine even the first look may come later than that.
  assertEquals(over, [...over.slice(0, -2).fill(0), 1, 1]);
  assertEquals(calls.close, 1);
  // Deno accepts only what is asked for.
  assertEquals(calls.pull, over.length - 1);
  listener.idle = false;
  assertEquals(draining.look(), false, "a connection waits to be accepted");
});

test("draining: what comes delays the end", async () => {
  const { listener, calls, draining } = setUp();
  const start = performance.now();
  while (performance.now() - start < 500) {
    listener.came++;
    assertEquals(draining.look(), false);
    await settles(() => false, timers.now() + 20);
  }
  assertEquals(calls.close, 0);
  assert(await settles(() => draining.look(), soon()));
});

test("draining: TLS handshakes that run delay the end, but the port is free", async () => {
  let stopped = 0;
  const { calls, handshakes, draining } = setUp({ running: 1, stop: () => void stopped++ });
  await settles(() => (draining.look(), stopped > 0), soon());
  assertEquals([draining.look(), stopped, calls.close], [false, 1, 0]);
  handshakes.running = 0;
  assertEquals(draining.look(), true);
});

test("draining: stop closes at once, and once", () => {
  const { calls, draining } = setUp();
  draining.stop();
  draining.stop();
  assertEquals(calls.close, 1);
  assertEquals(draining.look(), true);
});

test("draining: a shared listener of which the kernel tells nothing takes 0.2 s, whatever comes", async () => {
  const { listener, calls, draining } = setUp({ shared: true });
  await settles(() => (listener.came++, draining.look()), soon());
  assertEquals(calls.close, 1);
});

test("settles: until it is so, the limit, or the signal", async () => {
  assertEquals(await settles(() => true, 0), true);
  assertEquals(await settles(() => false, timers.now() + 30), false);
  const start = performance.now();
  assertEquals(await settles(() => false, Infinity, AbortSignal.timeout(50)), false);
  assertLess(performance.now() - start, 5_000);
});

test("dueOf: the earliest limit, and the listener's own where none is given", () => {
  const { at } = Deadline.after(1_000);
  assertEquals(dueOf({}, null), { due: Infinity, limit: 0 });
  assertEquals(dueOf({}, 5_000).limit, 5_000);
  assertEquals(dueOf({ timeout: null }, 5_000).due, Infinity);
  const deadline = Deadline.after(1_000);
  assertEquals(dueOf({ timeout: 60_000, deadline }, null), { due: deadline.at, limit: 1_000 });
  assert(dueOf({ timeout: 100, deadline }, null).due < at);
});
