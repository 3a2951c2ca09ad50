import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import { Alarm, timers } from "../../../src/time/timers.ts";
import { countNativeTimers } from "../../support/native_timers.ts";

/** An alarm that notes when it rang. */
class Stopwatch extends Alarm {
  rang: number[] = [];
  override ring(): void {
    this.rang.push(performance.now());
  }
}

test("accuracy: of 5,000 alarms of mixed length none rings early, each rings once, on one native timer", async () => {
  const native = countNativeTimers();
  try {
    const start = performance.now();
    const due = Array.from({ length: 5_000 }, (_, i) => start + 5 + (i * 7_919 % 5_000) * 0.11);
    const alarms = due.map((at) => {
      const alarm = new Stopwatch();
      timers.arm(alarm, at);
      return alarm;
    });
    // Half of the alarms are armed again for a later time, as for calls that end and are followed by others.
    for (let i = 0; i < 5_000; i += 2) timers.arm(alarms[i]!, due[i]! += 200);
    // This timer keeps the process alive, as those of the queue do not.
    await new Promise((resolve) => setTimeout(resolve, 900));
    while (timers.size > 0 && performance.now() < start + 10_000) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assertEquals(alarms.filter(({ rang }) => rang.length !== 1).length, 0);
    const late = alarms.map(({ rang }, i) => rang[0]! - due[i]!);
    assert(Math.min(...late) >= 0, `${-Math.min(...late)} ms early`);
    assertEquals(native.most, 1);
    assertEquals(native.running.size, 0);
  } finally {
    native.restore();
  }
});
