import { test } from "node:test";
import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { constants } from "../../../src/kernel/constants.ts";
import { type RowName, rows } from "../../../src/options/table.ts";
import { knownSystem } from "../../../src/kernel/system.ts";
import { toKernelTime } from "../../../src/options/encode.ts";
import { socketPlan } from "../../../src/options/plan.ts";
import { keepAliveRows } from "../../../src/options/support.ts";

const all = Object.entries(rows) as [RowName, typeof rows[RowName]][];

test("times are rounded up to the kernel's unit, never down", () => {
  const table = [
    [0.001, 1, 1],
    [1, 1, 1],
    [400, 400, 1],
    [999.5, 1_000, 1],
    [1_000, 1_000, 1],
    [1_000.001, 1_001, 2],
    [1_001, 1_001, 2],
    [10_400, 10_400, 11],
    [32_767_000, 32_767_000, 32_767],
  ] as const;
  for (const [ms, asMs, asSeconds] of table) {
    assertEquals(toKernelTime(ms, "ms"), asMs);
    assertEquals(toKernelTime(ms, "s"), asSeconds);
  }
});

test("what a row accepts fits an int in the kernel's unit", () => {
  for (const [name, { kind, max, places }] of all) {
    for (const place of Object.values(places).flat()) {
      if (kind !== "time" && kind !== "linger") {
        assertEquals(place.unit, undefined, name);
        assertLessOrEqual(max, 2 ** 31 - 1, name);
        continue;
      }
      assert(place.unit !== undefined, `${name} has no unit`);
      assertLessOrEqual(toKernelTime(max, place.unit), 2 ** 31 - 1, name);
    }
  }
});

test("the running system has a number for every place of its rows", () => {
  for (const [name, { places }] of all) {
    for (const place of places[knownSystem()!] ?? []) {
      assertEquals(typeof constants[place.level], "number", `${name}: ${place.level}`);
      assertEquals(typeof constants[place.name], "number", `${name}: ${place.name}`);
    }
  }
});

test("settings come in the order of the table, whatever the caller's", () => {
  const given = {
    noDelay: true,
    keepAlive: { count: 3, interval: 2_000, idle: 1_000 },
    linger: null,
    congestionControl: "reno",
  };
  const { entries } = socketPlan(given, "connect");
  assertEquals(entries.map(({ name }) => name), [
    "congestionControl",
    "keepAlive",
    "noDelay",
    "linger",
  ]);
  const keepAlive = { on: true, idle: 1_000, interval: 2_000, count: 3 };
  assertEquals(entries[1]!.value, keepAlive);
  assertEquals(keepAliveRows(keepAlive), [
    ["keepAlive.interval", 2_000],
    ["keepAlive.count", 3],
    ["keepAlive.idle", 1_000],
    ["keepAlive", true],
  ]);
});

test("what the kernel may refuse is set first", () => {
  assertEquals(all[0]![0], "congestionControl");
});
