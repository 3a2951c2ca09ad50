import { test } from "node:test";
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import {
  connect,
  constants,
  getsockopt,
  listen,
  onlySupported,
  setOptions,
  type TcpConnection,
  UnsupportedOptionError,
} from "@holdfast/tcp";
import { keepAliveFor, probeInterval } from "../../src/options/probing.ts";
import { timers } from "../../src/time/timers.ts";
import { cannotSet, pair, sleep, spawnRuntime, testFile, until } from "../contract/support.ts";
import { skip } from "../support/skip.ts";

const needed = skip(cannotSet("deadPeerTimeout"));

/** TCP_RTO_MAX_MS of a socket, or `undefined` where the kernel has none (before Linux 6.15). */
function longestBackoff(socket: TcpConnection): number | undefined {
  try {
    const bytes = getsockopt(socket, constants.IPPROTO_TCP!, constants.TCP_RTO_MAX_MS!);
    return new Int32Array(bytes.slice().buffer)[0];
  } catch {
    return undefined;
  }
}

test("deadPeerTimeout: keepalive ends in time and bears 3/4 of it, from 2 s to a year", () => {
  for (let timeout = 2_000; timeout < 366 * 86_400_000; timeout = timeout * 1.01 + 7) {
    const { idle, interval, count } = keepAliveFor(timeout);
    const all = [idle, interval, count, timeout].join(" ");
    const longest = probeInterval(timeout);
    // The kernel counts in seconds.
    const whole = Math.ceil(timeout / 1_000) * 1_000;
    assert(idle + interval * count <= whole + Math.max(1_000, timeout / 8), all);
    for (const ms of [idle, interval]) {
      assert(ms >= 1_000 && ms <= 32_767_000 && ms % 1_000 === 0, all);
    }
    assert(Number.isInteger(count) && count >= 2 && count <= 127, all);
    // Values for which whole seconds and the largest count leave a choice.
    if (timeout >= 4_000 && count < 127) assert(interval * (count - 1) >= 0.75 * timeout, all);
    assert(idle <= Math.max(1_000, timeout / 4), all);
    assert(longest >= 1_000 && longest <= 120_000 && longest <= Math.max(1_000, timeout / 8), all);
  }
});

test("deadPeerTimeout: connected and accepted sockets have it", needed, async () => {
  using ends = await pair({
    listen: { deadPeerTimeout: 60_000 },
    connect: { deadPeerTimeout: 2_000 },
  });
  const { client, server } = ends;
  assertEquals(client.getOptions().keepAlive, { idle: 1_000, interval: 1_000, count: 2 });
  assertEquals(server.getOptions().keepAlive, { idle: 12_000, interval: 3_000, count: 16 });
  assertEquals(client.getOptions().userTimeout, null);
  const backoff = longestBackoff(client);
  if (backoff === undefined) return;
  // The kernel counts in ticks.
  assert(Math.abs(backoff - 1_000) < 10, `${backoff}`);
  assert(Math.abs(longestBackoff(server)! - 7_500) < 10, `${longestBackoff(server)}`);
});

test("deadPeerTimeout: set later, and ended by what replaces it", needed, async () => {
  using ends = await pair();
  const { client } = ends;
  const before = longestBackoff(client);
  client.setOptions({ userTimeout: 5_000 });
  assertEquals(client.setOptions({ deadPeerTimeout: 16_000 }), {
    keepAlive: { idle: 3_000, interval: 1_000, count: 13 },
  });
  assertEquals(client.getOptions().userTimeout, null);
  if (before !== undefined) assert(Math.abs(longestBackoff(client)! - 2_000) < 10);
  client.setOptions({ keepAlive: false });
  assertEquals(client.getOptions().keepAlive, false);
  assertEquals(longestBackoff(client), before);
});

test("deadPeerTimeout: a listener's later setting holds for what it accepts", needed, async () => {
  using ends = await pair();
  ends.listener.setOptions({ deadPeerTimeout: 8_000 });
  const { hostname, port } = ends.listener.addr;
  const [client, server] = await Promise.all([
    connect({ hostname, port, timeout: null }),
    ends.listener.accept(),
  ]);
  using _client = client;
  using _server = server;
  assertEquals(server.getOptions().keepAlive, { idle: 1_000, interval: 1_000, count: 7 });
  // The watch sets this, and not the listener.
  const backoff = longestBackoff(server);
  if (backoff !== undefined) assert(Math.abs(backoff - 1_000) < 10, `${backoff}`);
});

test("deadPeerTimeout: a native socket needs 15 s, or is left as it was", needed, async () => {
  using ends = await pair();
  const { native } = ends.client;
  const error = assertThrows(() => setOptions(native, { deadPeerTimeout: 14_999 }));
  assertInstanceOf(error, UnsupportedOptionError);
  assertEquals(error.option, "deadPeerTimeout");
  assertEquals(ends.client.getOptions().keepAlive, false);
  if (longestBackoff(ends.client) === undefined) return;
  setOptions(native, { deadPeerTimeout: 15_000 });
  assert(Math.abs(longestBackoff(ends.client)! - 1_000) < 10);
});

test("deadPeerTimeout: onlySupported keeps it whole", needed, () => {
  assertEquals(onlySupported({ deadPeerTimeout: 5_000, noDelay: true }), {
    deadPeerTimeout: 5_000,
    noDelay: true,
  });
});

test("deadPeerTimeout: no timer runs while nothing is in flight", needed, async () => {
  using ends = await pair({ connect: { deadPeerTimeout: 2_000, timeout: null } });
  const idle = timers.size;
  await ends.client.write(new Uint8Array(10));
  assertEquals(timers.size, idle + 1);
  // The watch looks once, and then sleeps.
  await until(() => timers.size === idle, "the watch is asleep");
  await sleep(1_500);
  assertEquals(timers.size, idle);
});

test("deadPeerTimeout: what is unsent when the process ends still arrives", needed, async () => {
  const size = 100_000;
  const arrived = async (how: string) => {
    using listener = await listen({
      hostname: "127.0.0.1",
      port: 0,
      timeout: 20_000,
      receiveBufferSize: 4_096,
    });
    const program = testFile("../dead_peer/programs/unsent_at_exit.ts");
    const ended = spawnRuntime(program, [String(listener.addr.port), String(size), how]);
    using socket = await listener.accept();
    const { code } = await ended;
    // The time of three probes, for which the kernel would not wait if it sent one every second.
    await sleep(4_000);
    const into = new Uint8Array(65_536);
    let got = 0;
    for (let n; (n = await socket.read(into).catch(() => null)) !== null;) got += n;
    return { how, code, got };
  };
  const ways = ["close()", "no close()", "a guard"];
  assertEquals(
    await Promise.all(ways.map(arrived)),
    ways.map((how) => ({ how, code: 0, got: size })),
  );
});
