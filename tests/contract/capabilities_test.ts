import { createRequire } from "node:module";
import { test } from "node:test";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { capabilities } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { pinned } from "./capabilities_pinned.ts";

const { runtime, version, system, options } = capabilities();
const name = `${runtime} ${version.split(".")[0]} ${system}`;
const table = (hasKoffi() ? pinned[`${name} koffi`] : undefined) ?? pinned[name];

/** Whether koffi is installed, according to the module system. */
function hasKoffi(): boolean {
  try {
    createRequire(import.meta.url).resolve("koffi");
    return true;
  } catch {
    return false;
  }
}

/**
 * Fails when a capability disappears, or a new one is not in the table yet. All other tests skip by
 * capability, so without this one they would skip without anybody noticing.
 */
test(
  "capabilities: are the ones that are pinned",
  skip(
    table === undefined ? `nothing is pinned for ${name}` : undefined,
  ),
  () => {
    const actual = Object.entries(options).map(([name, { set, get }]) => [name, `${set} ${get}`]);
    assertEquals(Object.fromEntries(actual), table);
  },
);

test("capabilities: name runtime, version and system, and a reason for what is missing", () => {
  assertMatch(runtime, /^(deno|bun|node)$/);
  assertMatch(version, /^\d+\.\d+\.\d+/);
  assertMatch(system, /^[a-z0-9]+$/);
  for (const [name, { set, get, reason }] of Object.entries(options)) {
    for (const road of [set, get]) assertMatch(road, /^(native|ffi|none)$/, name);
    assertEquals((reason?.length ?? 0) > 5, set === "none" || get === "none", name);
  }
});

test("capabilities: are data of their own at every call", () => {
  const first = capabilities();
  assertEquals(first, capabilities());
  assert(first !== capabilities());
});
