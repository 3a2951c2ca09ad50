import { test } from "node:test";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { Alarm, TimerQueue } from "../../../src/time/timers.ts";
import { FakeClock } from "../fakes.ts";

class Bell extends Alarm {
  readonly name: string;
  readonly rung: string[];
  constructor(name: string, rung: string[]) {
    super();
    this.name = name;
    this.rung = rung;
  }
  override ring(): void {
    this.rung.push(this.name);
  }
}

function setUp() {
  const clock = new FakeClock();
  const rung: string[] = [];
  return {
    clock,
    rung,
    queue: new TimerQueue(clock),
    bell: (name: string) => new Bell(name, rung),
  };
}

test("timers: alarms ring in order of their time, each once, never early", () => {
  const { clock, rung, queue, bell } = setUp();
  queue.arm(bell("c"), 30);
  queue.arm(bell("a"), 10);
  queue.arm(bell("b"), 20.5);
  clock.advance(9.9);
  assertEquals(rung, []);
  clock.advance(0.1);
  assertEquals(rung, ["a"]);
  clock.advance(10);
  assertEquals(rung, ["a"]);
  clock.advance(1);
  assertEquals(rung, ["a", "b"]);
  clock.advance(100);
  assertEquals(rung, ["a", "b", "c"]);
  assertEquals(clock.running, 0);
});

test("timers: one native timer for any number of alarms, none when they are done", () => {
  const { clock, rung, queue, bell } = setUp();
  for (let i = 0; i < 1_000; i++) queue.arm(bell(String(i)), 1_000 + (i * 7_919) % 1_000);
  assertEquals(clock.running, 1);
  clock.advance(2_001);
  assertEquals(rung.length, 1_000);
  assertEquals(rung, [...rung].sort((a, b) => (+a * 7_919) % 1_000 - (+b * 7_919) % 1_000));
  assertEquals(clock.running, 0);
  assertEquals(queue.size, 0);
});

test("timers: a disarmed alarm does not ring and does not keep the native timer", () => {
  const { clock, rung, queue, bell } = setUp();
  const one = bell("one");
  queue.arm(one, 10);
  queue.disarm(one);
  clock.advance(50);
  assertEquals(rung, []);
  assertEquals(clock.running, 0);
});

test("timers: arming again for later costs no native timer, and rings only then", () => {
  const { clock, rung, queue, bell } = setUp();
  const one = bell("one");
  for (let i = 0; i < 100; i++) queue.arm(one, 1_000 + i);
  assertEquals(clock.started, 1);
  clock.advance(1_098);
  assertEquals(rung, []);
  clock.advance(1);
  assertEquals(rung, ["one"]);
});

test("timers: arming again for earlier rings earlier", () => {
  const { clock, rung, queue, bell } = setUp();
  const one = bell("one");
  queue.arm(bell("far"), 500);
  queue.arm(one, 1_000);
  queue.arm(one, 5);
  clock.advance(5);
  assertEquals(rung, ["one"]);
  clock.advance(2_000);
  assertEquals(rung, ["one", "far"]);
});

test("timers: a removed alarm is forgotten, and the last one stops the native timer", () => {
  const { clock, rung, queue, bell } = setUp();
  const bells = Array.from({ length: 50 }, (_, i) => bell(String(i)));
  for (const [i, one] of bells.entries()) queue.arm(one, 10 + (i * 31) % 50);
  for (const [i, one] of bells.entries()) if (i % 2 === 0) queue.remove(one);
  clock.advance(100);
  assertEquals(rung.length, 25);
  assert(rung.every((name) => Number(name) % 2 === 1));
  const last = bell("last");
  queue.arm(last, 1_000);
  assertEquals(clock.running, 1);
  queue.remove(last);
  assertEquals(clock.running, 0);
});

test("timers: a time beyond 2^31 ms does not ring early, and does ring", () => {
  const { clock, rung, queue, bell } = setUp();
  const year = 365 * 86_400_000;
  queue.arm(bell("year"), year);
  clock.advance(year - 1);
  assertEquals(rung, []);
  clock.advance(1);
  assertEquals(rung, ["year"]);
});

test("timers: an alarm armed by a ringing one rings in its turn", () => {
  const { clock, rung, queue, bell } = setUp();
  class Again extends Alarm {
    override ring(): void {
      rung.push("again");
      if (rung.length < 3) queue.arm(this, clock.now() + 10);
    }
  }
  queue.arm(new Again(), 10);
  queue.arm(bell("later"), 100);
  clock.advance(99);
  assertEquals(rung, ["again", "again", "again"]);
});

test("timers: the queue tells how late a tick came", () => {
  const { clock, queue, bell } = setUp();
  queue.arm(bell("one"), 10);
  clock.block(250);
  assertEquals(queue.lag, 240);
});

test("timers: an alarm that throws keeps no other from ringing", () => {
  const { clock, rung, queue, bell } = setUp();
  class Broken extends Alarm {
    override ring(): void {
      throw new Error("broken");
    }
  }
  queue.arm(new Broken(), 10);
  queue.arm(bell("next"), 10);
  assertThrows(() => clock.advance(10), Error, "broken");
  clock.advance(1);
  assertEquals(rung, ["next"]);
});

test("timers: a native timer that is lost is started again at the next arming", () => {
  const { clock, rung, queue, bell } = setUp();
  queue.arm(bell("one"), 100);
  clock.lose();
  clock.advance(500);
  queue.arm(bell("two"), queue.now() + 5_000);
  assertEquals(clock.running, 0, "it may only be late");
  clock.advance(700);
  queue.arm(bell("three"), queue.now() + 5_000);
  clock.advance(1);
  assertEquals(rung, ["one"]);
  clock.advance(5_000);
  assertEquals(rung, ["one", "two", "three"]);
});

test("timers: while the event loop is blocked, arming does not put the native timer off", () => {
  const { clock, queue, bell } = setUp();
  queue.arm(bell("one"), 100);
  clock.lose();
  clock.advance(2_000);
  for (let i = 0; i < 10; i++) queue.arm(bell(String(i)), queue.now() + 5_000);
  assertEquals(clock.started, 2);
});

test("timers: a lost timer that fires after all does not start a second one for good", () => {
  const { clock, rung, queue, bell } = setUp();
  queue.arm(bell("one"), 100);
  const wake = clock.lose();
  clock.advance(2_000);
  queue.arm(bell("two"), queue.now() + 50);
  wake();
  assertEquals(rung, ["one"]);
  assertEquals(clock.running, 1);
  clock.advance(50);
  assertEquals(rung, ["one", "two"]);
  assertEquals(clock.running, 0);
});
