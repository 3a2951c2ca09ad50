import process from "node:process";
import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import { connect, listen } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import {
  cannotSet,
  firstLine,
  openDescriptors,
  patience,
  readExactly,
  socketsOf,
  spawnRuntime,
  startRuntime,
  testFile,
  within,
} from "./support.ts";
import { assertCode, linux, notLinux, rawInts, timeWaitPort } from "./support_listen.ts";

const hostname = "127.0.0.1";
const timeout = patience;
const program = testFile("programs/listener.ts");
const notOff = cannotSet("reuseAddress");

test("reuseAddress: a server restarts on a port in TIME_WAIT", skip(notLinux), async () => {
  for (const options of [{}, { reuseAddress: true }]) {
    const port = await timeWaitPort();
    using listener = await listen({ hostname, port, timeout, ...options });
    assertEquals(rawInts(listener, linux.reuseAddress), [1]);
    assert(socketsOf(port, "TIME-WAIT").length > 0, "TIME-WAIT is over: this proved nothing");
    using client = await connect({ hostname, port, timeout });
    using server = await listener.accept();
    await server.write(new Uint8Array([5]));
    assertEquals(await readExactly(client, 1), new Uint8Array([5]));
  }
});

test("reuseAddress: another process restarts on a port in TIME_WAIT", skip(notLinux), async () => {
  const port = await timeWaitPort();
  using child = start({ hostname, port, timeout });
  assertEquals(await child.port(), String(port));
});

test(
  "reuseAddress: false is really off, and fails on a port in TIME_WAIT",
  skip(notLinux ?? notOff),
  async () => {
    const port = await timeWaitPort();
    const before = openDescriptors();
    const options = { hostname, timeout, reuseAddress: false };
    const error = await assertCode(listen({ ...options, port }), "EADDRINUSE");
    assertEquals([error.operation, error.address?.port], ["listen", port]);
    assertEquals(openDescriptors(), before);
    assert(socketsOf(port, "TIME-WAIT").length > 0, "TIME-WAIT is over: this proved nothing");
    // On a port that is free it listens, without the flag.
    using listener = await listen({ ...options, port: 0 });
    assertEquals(rawInts(listener, linux.reuseAddress), [0]);
    using client = await connect({ hostname, port: listener.addr.port, timeout });
    using server = await listener.accept();
    await server.write(new Uint8Array([6]));
    assertEquals(await readExactly(client, 1), new Uint8Array([6]));
  },
);

for (const first of [true, false]) {
  for (const second of [true, false]) {
    const reason = first && second ? undefined : notOff;
    test(
      `reuseAddress: two live listeners are refused (${first}, ${second})`,
      skip(reason),
      async () => {
        using one = await listen({ hostname, port: 0, timeout, reuseAddress: first });
        const { port } = one.addr;
        for (const hostname of ["127.0.0.1", "0.0.0.0"]) {
          const error = await assertCode(
            listen({ hostname, port, timeout, reuseAddress: second }),
            "EADDRINUSE",
          );
          assertEquals([error.operation, error.address?.port], ["listen", port]);
          assert(error.cause !== undefined, "no cause");
        }
        // The first listener still works.
        using _client = await connect({ hostname, port, timeout });
        using server = await one.accept();
        assertEquals(server.localAddr.port, port);
      },
    );
  }
}

test("reuseAddress: a live listener of another process is refused", async () => {
  using one = await listen({ hostname, port: 0, timeout });
  const options = JSON.stringify({ hostname, port: one.addr.port, timeout });
  assertEquals((await spawnRuntime(program, [options])).output.trim(), "EADDRINUSE");
});

const notShared = skip(notLinux ?? cannotSet("reusePort"));

test("reusePort: is off unless asked for", skip(notLinux), async () => {
  using listener = await listen({ hostname, port: 0, timeout });
  assertEquals(rawInts(listener, linux.reusePort), [0]);
});

test(
  "reusePort: connections spread over processes, and who does not ask for it is refused",
  notShared,
  async () => {
    using one = start({ hostname, port: 0, timeout, reusePort: true });
    const port = Number(await one.port());
    using two = start({ hostname, port, timeout, reusePort: true });
    assertEquals(await two.port(), String(port));
    await assertCode(listen({ hostname, port, timeout }), "EADDRINUSE");
    if (notOff === undefined) {
      await assertCode(listen({ hostname, port, timeout, reuseAddress: false }), "EADDRINUSE");
    }
    const total = 100;
    for (let i = 0; i < total; i += 10) {
      await Promise.all(Array.from({ length: 10 }, async () => {
        using client = await connect({ hostname, port, timeout });
        await readExactly(client, 1);
      }));
    }
    const counts = [Number(await one.count()), Number(await two.count())];
    assertEquals(counts[0]! + counts[1]!, total);
    // With equal chances, fewer than 10 of 100 come once in 10^17 runs.
    assert(Math.min(...counts) >= 10, `spread ${counts}`);
  },
);

test(
  "reusePort: goes with the others",
  skip(notLinux ?? cannotSet("reusePort") ?? notOff),
  async () => {
    const options = { hostname, timeout, reusePort: true, reuseAddress: false, backlog: 5 };
    using one = await listen({ ...options, port: 0 });
    using two = await listen({ ...options, port: one.addr.port });
    for (const listener of [one, two]) {
      assertEquals(rawInts(one, linux.reusePort), [1]);
      assertEquals(rawInts(one, linux.reuseAddress), [0]);
      assertEquals(listener.addr.port, one.addr.port);
    }
  },
);

/** A listener in a process of its own, and what that prints. */
function start(options: object) {
  const child = startRuntime(program, [JSON.stringify(options)]);
  return {
    port: () => firstLine(child),
    count: () => {
      const line = within(patience, firstLine(child));
      child.stdin!.write("\n");
      return line;
    },
    [Symbol.dispose]: () => void child.kill("SIGKILL"),
  };
}

test(
  "reusePort: an accept costs the same with many open connections",
  skip(cannotSet("reusePort")),
  async () => {
    using listener = await listen({ hostname, port: 0, timeout, reusePort: true });
    const { port } = listener.addr;
    const open: Disposable[] = [];
    const cost = async (count: number) => {
      const before = process.cpuUsage();
      for (let i = 0; i < count; i++) {
        open.push(...await Promise.all([connect({ hostname, port, timeout }), listener.accept()]));
      }
      const { user, system } = process.cpuUsage(before);
      return (user + system) / count;
    };
    await cost(50);
    for (const one of open.splice(0)) one[Symbol.dispose]();
    // The least of several, which other work on the machine disturbs least.
    const least = async () => Math.min(await cost(20), await cost(20), await cost(20));
    const few = await least();
    await cost(350);
    const many = await least();
    for (const one of open) one[Symbol.dispose]();
    assert(many < 2.5 * few, `${few.toFixed()} us, then ${many.toFixed()} us`);
  },
);
