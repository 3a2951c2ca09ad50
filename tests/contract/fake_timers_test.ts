/** The fake clock of a test stops neither the limits of real connections nor their data. */

import { createRequire } from "node:module";
import process from "node:process";
import { mock, test } from "node:test";
import { assertEquals, assertGreater, assertRejects } from "@std/assert";
import { connect, Deadline, listen, TimeoutError } from "@holdfast/tcp";
import { hangingAddress, type Pair, pair, patience, spawnRuntime, testFile } from "./support.ts";
import { skip } from "../support/skip.ts";

const { setTimeout: captured } = globalThis;

/** Checks every limit, whatever the global timers are. */
async function exercise(): Promise<void> {
  using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience });
  await assertRejects(() => listener.accept({ timeout: 40 }), TimeoutError);
  const { port } = listener.addr;
  using client = await connect({ hostname: "127.0.0.1", port, timeout: patience });
  using server = await listener.accept();
  await assertRejects(() => client.read(new Uint8Array(1), { timeout: 40 }), TimeoutError);
  const deadline = Deadline.after(40);
  await assertRejects(() => client.read(new Uint8Array(1), { deadline }), TimeoutError);
  assertEquals(deadline.remaining, 0);
  await send({ client, server });
}

/** More than one turn of the event loop. */
async function send({ client, server }: Pick<Pair, "client" | "server">): Promise<void> {
  const size = 16_000_000;
  const write = client.write(new Uint8Array(size), { timeout: null });
  const into = new Uint8Array(1_000_000);
  for (let read = 0; read < size;) read += (await server.read(into, { timeout: null }))!;
  assertEquals(await write, size);
}

const require = createRequire(`${process.env["HOLDFAST_CLIENTS"] ?? process.cwd()}/`);

interface FakeTimers {
  install(options: { toNotFake: string[] }): { uninstall(): void };
}

function sinon(): FakeTimers | undefined {
  try {
    return require("@sinonjs/fake-timers");
  } catch {
    return undefined;
  }
}

/** These stop the clock inside the runtime, so that limits wait until they are over. */
const stopsRuntime = "bun:test's fake timers";

/** Replaces the timers that a test would replace, and restores them. */
const clocks: Record<string, (() => () => void) | string> = {
  "node:test's mock.timers": () => {
    mock.timers.enable();
    return () => mock.timers.reset();
  },
  "sinon's fake timers": sinon() === undefined
    ? "needs @sinonjs/fake-timers from npm: 'deno task test' installs it"
    : () => {
      // nextTick stays, since Node's own sockets need it.
      const toNotFake = ["nextTick"];
      const clock = sinon()!.install({ toNotFake });
      return () => clock.uninstall();
    },
  [stopsRuntime]: await startBunMock() ?? "bun:test is not here",
  "globals that do nothing": stopGlobals,
};

async function startBunMock(): Promise<(() => () => void) | undefined> {
  const name: string = "bun:test";
  const { jest } = await import(name).catch(() => ({})) as {
    jest?: { useFakeTimers(): void; useRealTimers(): void };
  };
  if (jest === undefined) return undefined;
  return () => {
    jest.useFakeTimers();
    return () => jest.useRealTimers();
  };
}

function stopGlobals(): () => void {
  const names = ["setTimeout", "setInterval", "setImmediate", "queueMicrotask"] as const;
  const all = globalThis as unknown as Record<string, unknown>;
  const real = names.map((name) => [name, all[name]] as const);
  const frozen = performance.now();
  for (const name of names) all[name] = () => ({ ref() {}, unref() {} });
  const own = Object.getOwnPropertyDescriptor(performance, "now");
  Object.defineProperty(performance, "now", { value: () => frozen, configurable: true });
  return () => {
    for (const [name, value] of real) all[name] = value;
    if (own === undefined) Reflect.deleteProperty(performance, "now");
    else Object.defineProperty(performance, "now", own);
  };
}

for (const [name, start] of Object.entries(clocks)) {
  const why = typeof start === "string" ? start : undefined;
  test(
    `fake timers: limits ring and writes go on under ${name}, and after it`,
    skip(why),
    async () => {
      using silent = await hangingAddress();
      using ends = await pair();
      // This call waits already when the clock is replaced.
      const before = assertRejects(
        () => ends.client.read(new Uint8Array(1), { timeout: 100 }),
        TimeoutError,
      );
      const stop = (start as () => () => void)();
      try {
        if (name !== stopsRuntime) {
          await before;
          await exercise();
          const { hostname, port } = silent;
          await assertRejects(() => connect({ hostname, port, timeout: 60 }), TimeoutError);
        } else {
          // This timer starts on a clock that stands still.
          ends.client.read(new Uint8Array(1), { timeout: 40 }).catch(() => {});
          await send(ends);
        }
      } finally {
        stop();
      }
      // From this time on the lost timer counts as lost.
      await new Promise((resolve) => captured(resolve, 1_200));
      await exercise();
      await before;
    },
  );
}

test("fake timers: loaded while the clock is replaced, it works when that is over", async () => {
  const { code, output } = await spawnRuntime(testFile("programs/loaded_late.ts"));
  assertEquals(code, 0, output);
  assertGreater(Number(output.trim()), 35);
});
