import { test } from "node:test";
import { assertEquals, assertRejects } from "@std/assert";
import type { Attempt, Transport } from "../../../src/adapter.ts";
import { race, type Surroundings } from "../../../src/dial/happy_eyeballs.ts";
import type { Address } from "../../../src/kernel/modules.ts";

const v4 = (last: number): Address => ({ address: `192.0.2.${last}`, family: 4 });
const v6 = (last: number): Address => ({ address: `2001:db8::${last}`, family: 6 });
const target = { hostname: "example.test", port: 1 };

/** A race whose lookup, clock and attempts the test controls. `log` lists what happened. */
function arrange(addresses: Address[]) {
  const log: string[] = [];
  const attempts = new Map<string, { open(): void; fail(code: string): void }>();
  let wake: (() => void) | undefined;
  let delay = 0;
  const lookup = Promise.withResolvers<Address[]>();
  const around: Surroundings = {
    lookup: () => lookup.promise,
    later(run, ms) {
      [wake, delay] = [run, ms];
      return () => wake = undefined;
    },
  };
  const dial = (address: string): Attempt => {
    log.push(`dial ${address}`);
    const { promise, resolve, reject } = Promise.withResolvers<Transport>();
    attempts.set(address, {
      open: () => resolve({ address, close: () => log.push(`close ${address}`) } as never),
      fail: (code) => reject(Object.assign(new Error(code), { code })),
    });
    return { opened: promise, abort: () => void log.push(`abort ${address}`) };
  };
  return {
    log,
    attempt: (address: Address) => attempts.get(address.address)!,
    lookup,
    start: (hostname = target.hostname) => {
      lookup.resolve(addresses);
      return race({ hostname, port: 1 }, dial, around);
    },
    race: () => race(target, dial, around),
    /** Ends the delay that the race has asked for. */
    tick() {
      const run = wake!;
      wake = undefined;
      run();
      return delay;
    },
    timing: () => wake !== undefined,
  };
}

/** Lets all promise reactions run. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

test("happy eyeballs: an IP literal is dialled at once, without a lookup", () => {
  for (const literal of ["192.0.2.1", "2001:db8::1", "fe80::1%2"]) {
    const scene = arrange([]);
    scene.start(literal);
    assertEquals(scene.log, [`dial ${literal}`]);
  }
});

test("happy eyeballs: until the lookup is done, it says that it waits for that", async () => {
  const scene = arrange([v4(1)]);
  const race = scene.race();
  assertEquals(race.waitsFor, "the name is not resolved yet");
  scene.lookup.resolve([v4(1)]);
  await settle();
  assertEquals(race.waitsFor, undefined);
});

test("happy eyeballs: families alternate, beginning with the preferred one", async () => {
  const scene = arrange([v6(1), v6(2), v6(3), v4(1), v4(2)]);
  scene.start();
  await settle();
  for (let i = 0; i < 4; i++) assertEquals(scene.tick(), 250);
  assertEquals(
    scene.log,
    [v6(1), v4(1), v6(2), v4(2), v6(3)].map(({ address }) => `dial ${address}`),
  );
  assertEquals(scene.timing(), false);
});

test("happy eyeballs: the first to open wins, the others are called off", async () => {
  const scene = arrange([v6(1), v4(1), v4(2)]);
  const { opened } = scene.start();
  await settle();
  scene.tick();
  scene.attempt(v4(1)).open();
  assertEquals((await opened as unknown as Address).address, v4(1).address);
  assertEquals(scene.log.slice(2), [`abort ${v6(1).address}`]);
  assertEquals(scene.timing(), false);
});

test("happy eyeballs: an older attempt goes on and may still win", async () => {
  const scene = arrange([v6(1), v4(1)]);
  const { opened } = scene.start();
  await settle();
  scene.tick();
  scene.attempt(v6(1)).open();
  assertEquals((await opened as unknown as Address).address, v6(1).address);
});

test("happy eyeballs: whoever opens too late is closed", async () => {
  const scene = arrange([v6(1), v4(1)]);
  const { opened } = scene.start();
  await settle();
  scene.tick();
  scene.attempt(v6(1)).open();
  scene.attempt(v4(1)).open();
  await opened;
  await settle();
  assertEquals(scene.log.slice(2), [`abort ${v4(1).address}`, `close ${v4(1).address}`]);
});

test("happy eyeballs: a failure starts the next attempt without waiting", async () => {
  const scene = arrange([v6(1), v4(1)]);
  const { opened } = scene.start();
  await settle();
  scene.attempt(v6(1)).fail("ENETUNREACH");
  await settle();
  assertEquals(scene.log, [`dial ${v6(1).address}`, `dial ${v4(1).address}`]);
  scene.attempt(v4(1)).open();
  assertEquals((await opened as unknown as Address).address, v4(1).address);
});

test("happy eyeballs: when all fail, a host's answer counts before a missing route", async () => {
  for (const order of [[v6(1), v4(1)], [v4(1), v6(1)]] as const) {
    const scene = arrange([v6(1), v4(1)]);
    const refused = assertRejects(() => scene.start().opened, Error, "ECONNREFUSED");
    await settle();
    scene.tick();
    for (const address of order) {
      scene.attempt(address).fail(address.family === 6 ? "ENETUNREACH" : "ECONNREFUSED");
      await settle();
    }
    await refused;
    assertEquals(scene.timing(), false);
  }
});

test("happy eyeballs: when all fail alike, the first failure is the answer", async () => {
  const scene = arrange([v4(1), v4(2)]);
  const { opened } = scene.start();
  await settle();
  scene.attempt(v4(1)).fail("ECONNREFUSED");
  await settle();
  scene.attempt(v4(2)).fail("ECONNRESET");
  await assertRejects(() => opened, Error, "ECONNREFUSED");
});

test("happy eyeballs: a failed lookup is the answer", async () => {
  const scene = arrange([]);
  const { opened } = scene.race();
  scene.lookup.reject(new Error("ENOTFOUND"));
  await assertRejects(() => opened, Error, "ENOTFOUND");
  assertEquals(scene.log, []);
});

test("happy eyeballs: a name without addresses is not found", async () => {
  const scene = arrange([]);
  const { opened } = scene.start();
  await assertRejects(() => opened, Error, "ENOTFOUND");
});

test("happy eyeballs: abort during the lookup dials nothing", async () => {
  const scene = arrange([v4(1)]);
  const attempt = scene.race();
  attempt.abort();
  scene.lookup.resolve([v4(1)]);
  await settle();
  assertEquals(scene.log, []);
});

test("happy eyeballs: abort ends every attempt, the timer and a winner too late", async () => {
  const scene = arrange([v6(1), v4(1), v4(2)]);
  const attempt = scene.start();
  await settle();
  scene.tick();
  attempt.abort();
  attempt.abort();
  assertEquals(scene.log.slice(2), [`abort ${v6(1).address}`, `abort ${v4(1).address}`]);
  assertEquals(scene.timing(), false);
  scene.attempt(v4(1)).open();
  await settle();
  assertEquals(scene.log.slice(4), [`close ${v4(1).address}`]);
});
