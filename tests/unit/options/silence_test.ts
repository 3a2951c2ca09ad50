import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import type { TcpInfo } from "../../../src/kernel/tcp_info.ts";
import { Silence } from "../../../src/options/silence.ts";

/** The TCP_INFO of a connection with data in flight whose peer has been silent for `silence` ms. */
function shown(silence: number, retransmits: number, other: Partial<TcpInfo> = {}): TcpInfo {
  return {
    unacknowledged: 1,
    notSent: 0,
    probes: 0,
    retransmits,
    lastAckReceived: silence,
    lastDataReceived: silence + 1_000,
    rtt: 1,
    rttVariation: 1,
    ...other,
  } as TcpInfo;
}

// With a timeout of 8 s the kernel probes every second.
const timeout = 8_000;

test("a peer that is silent for the timeout and for one more question is gone", () => {
  const silence = new Silence(timeout);
  assertEquals(silence.look(shown(3_000, 4)), 5_001);
  // It does not matter how many probes were sent before.
  const next = silence.look(shown(8_001, 9));
  assert(next > 0 && next <= 1_000, `${next}`);
  assert(silence.look(shown(8_500, 9)) > 0);
  // The probe has time to be answered.
  const answer = silence.look(shown(8_600, 10));
  assert(answer > 0 && answer <= 1_000, `${answer}`);
  assertEquals(silence.look(shown(8_601 + answer, 10)), 0);
});

test("a peer that answers the question after the timeout is alive", () => {
  const silence = new Silence(timeout);
  silence.look(shown(8_001, 9));
  assert(silence.look(shown(8_600, 10)) > 0);
  assertEquals(silence.look(shown(10, 0)), 7_991);
  // The peer is silent again.
  assert(silence.look(shown(8_001, 5)) > 0);
  assert(silence.look(shown(8_900, 5)) > 0);
});

test("the only retransmission there was has an interval to be answered", () => {
  const silence = new Silence(timeout);
  silence.look(shown(8_001, 0));
  assertEquals(silence.look(shown(8_300, 1)), 1_000);
  assert(silence.look(shown(9_200, 1)) > 0);
  assertEquals(silence.look(shown(9_300, 1)), 0);
});

test("a closed window: one probe without an answer may be lost, however long ago it was", () => {
  const silence = new Silence(timeout);
  const asked = (ms: number, probes: number) =>
    shown(ms, 0, { probes, unacknowledged: 0, notSent: 9 });
  silence.look(asked(8_001, 0));
  for (let ms = 8_300; ms < 60_000; ms += 100) assert(silence.look(asked(ms, 1)) > 0);
  // The answer to the next one.
  assertEquals(silence.look(asked(10, 0)), 7_991);
  silence.look(asked(8_001, 0));
  assert(silence.look(asked(9_000, 1)) > 0);
  const answer = silence.look(asked(20_000, 2));
  assert(answer > 0 && answer <= 1_000, `${answer}`);
  assertEquals(silence.look(asked(20_001 + answer, 2)), 0);
});

test("a closed window: the last probe was sent after the timeout", () => {
  const silence = new Silence(timeout);
  const asked = (ms: number, probes: number) =>
    shown(ms, 0, { probes, unacknowledged: 0, notSent: 9 });
  silence.look(asked(8_001, 3));
  for (let ms = 8_300; ms < 60_000; ms += 100) assert(silence.look(asked(ms, 3)) > 0);
});

test("a kernel that retransmits more and more seldom is not waited for", () => {
  const silence = new Silence(timeout);
  silence.look(shown(8_001, 5));
  assert(silence.look(shown(9_000, 5)) > 0);
  assertEquals(silence.look(shown(9_300, 5)), 0);
});

test("a kernel that has not asked says nothing, however long the silence", () => {
  const silence = new Silence(timeout);
  const closed = { unacknowledged: 0, notSent: 9 };
  for (let ms = 8_001; ms < 60_000; ms += 100) assert(silence.look(shown(ms, 0, closed)) > 0);
});

test("nothing in flight: keepalive looks after it", () => {
  const silence = new Silence(timeout);
  assertEquals(silence.look(shown(20_000, 0, { unacknowledged: 0 })), Infinity);
});
