import { test } from "node:test";
import { assertEquals, assertGreater, assertGreaterOrEqual, assertLess } from "@std/assert";
import { hangingAddress, spawnRuntime, testFile } from "./support.ts";

/** Runs programs/exit.ts with an argument. Returns what it printed, and how long it lived after that. */
async function leave(way: string, ...args: string[]): Promise<{ lines: string[]; ms: number }> {
  const { code, output } = await spawnRuntime(testFile("programs/exit.ts"), [way, ...args]);
  const lines = output.trim().split("\n");
  assertEquals(code, 0, output);
  return { ms: Number(lines.pop()), lines };
}

const ways = [
  ...["closed", "closedAfterUse", "unref", "unrefLater", "idleListener", "idle", "idleListening"],
  ...[
    "idleAfterCalls",
    "idleAfterTimeouts",
    "idleAfterStreams",
    "idleAfterLeaving",
    "idleAfterReset",
    "idleWrapped",
  ],
];
for (const way of ways) {
  test(`exit: at once, with sockets ${way}`, async () => {
    const { lines, ms } = await leave(way);
    assertEquals(lines, []);
    // A timer would keep it alive for an hour. Without one, only a busy machine delays its end.
    assertLess(ms, 2_000);
  });
}

const waits = [
  ...["pending", "pendingAgain", "pendingAccept", "pendingWrite", "pendingCloseWrite"],
  ...["pendingStream", "pendingIteration", "pendingWrapped"],
];
for (const way of waits) {
  test(`exit: not before the timeout, with a call ${way}`, async () => {
    const { lines, ms } = await leave(way);
    assertEquals(lines, ["true"]);
    assertGreaterOrEqual(ms, 500);
    assertLess(ms, 10_000);
  });
}

test("exit: not before the timeout, with an attempt to connect", async () => {
  using silent = await hangingAddress();
  const { lines } = await leave("pendingConnect", silent.hostname, String(silent.port));
  assertEquals(lines, ["true"]);
});

test("exit: importing the package starts nothing and asks for nothing", async () => {
  const { code, output } = await spawnRuntime(testFile("programs/import.ts"));
  assertEquals(code, 0, output);
  const [first, second] = output.trim().split("\n");
  const { asked, names } = JSON.parse(first!);
  assertEquals(asked, []);
  assertGreater(names, 10);
  assertEquals(second, "true");
});
