import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { getAvailablePort } from "@std/net";
import { connect, listen, SocketError, TimeoutError, UnsupportedOptionError } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import {
  hangingAddress,
  noTables,
  openDescriptors,
  pair,
  patience,
  readExactly,
  sleep,
  socketsOf,
  spySignal,
  until,
  within,
} from "./support.ts";

const noIpv6 = Object.values(networkInterfaces()).flat().some((one) => one?.address === "::1")
  ? undefined
  : "there is no IPv6 loopback";

/** The error with which `call` rejects, and how long that takes. */
async function rejection(
  call: () => Promise<unknown>,
): Promise<{ error: unknown; ms: number }> {
  const start = performance.now();
  const error = await call().then(() => {
    throw new Error("Expected a rejection");
  }, (error: unknown) => error);
  return { error, ms: performance.now() - start };
}

/** Asserts that no socket of this process to `port` is in the handshake any more, not even for a moment. */
const noneLeft = (port: number) => assertEquals(socketsOf(port, "SYN-SENT").length, 0);

test("connect: opens a connection whose ends agree about their addresses", async () => {
  using sockets = await pair();
  const { client, server, listener } = sockets;
  assertEquals(client.remoteAddr, listener.addr);
  assertEquals(client.localAddr, server.remoteAddr);
  assertEquals(server.localAddr, {
    transport: "tcp",
    hostname: "127.0.0.1",
    port: listener.addr.port,
  });
  assertEquals(client.timeouts, { read: patience, write: patience });
});

test("connect: to an IPv6 address", skip(noIpv6), async () => {
  using sockets = await pair({ listen: { hostname: "::1" } });
  assertEquals(sockets.client.remoteAddr.hostname, "::1");
  assertEquals(sockets.client.localAddr, sockets.server.remoteAddr);
  await sockets.client.write(Uint8Array.of(7));
  assertEquals(await readExactly(sockets.server, 1), Uint8Array.of(7));
});

test("connect: to a name", async () => {
  using sockets = await pair({ connect: { hostname: "localhost" } });
  assertEquals(sockets.client.remoteAddr.hostname, "127.0.0.1");
});

test("connect: 'timeout' as a number holds for reads and writes, as an object it names all", async () => {
  using one = await pair({ connect: { timeout: 1_234.5 } });
  assertEquals(one.client.timeouts, { read: 1_234.5, write: 1_234.5 });
  using two = await pair({ connect: { timeout: { connect: 5_000, read: null, write: 7 } } });
  assertEquals(two.client.timeouts, { read: null, write: 7 });
});

test("connect: the timeout fires, on time, and leaves no socket", skip(noTables), async () => {
  using silent = await hangingAddress();
  const { hostname, port } = silent;
  const before = openDescriptors();
  const { error, ms } = await rejection(() => connect({ hostname, port, timeout: 200 }));
  assertInstanceOf(error, TimeoutError);
  assertEquals(error.name, "TimeoutError");
  assertEquals(error.code, "ETIMEDOUT");
  assertEquals(error.operation, "connect");
  assertEquals(error.timeout, 200);
  assertEquals(error.address?.hostname, hostname);
  assertEquals(error.address?.port, port);
  assertEquals(error.bytesWritten, undefined);
  assertGreaterOrEqual(ms, 199);
  assertLess(ms, 4_000);
  noneLeft(port);
  await until(() => openDescriptors() <= before, "the descriptor is closed", 5_000);
});

test("connect: the timeout ends with the handshake", async () => {
  using sockets = await pair({ connect: { timeout: { connect: 150, read: null, write: null } } });
  const pending = sockets.client.read(new Uint8Array(1));
  await sleep(300);
  await sockets.server.write(Uint8Array.of(1));
  assertEquals(await within(patience, pending), 1);
});

test("connect: the timeout covers every address of a name", skip(noTables), async () => {
  // If localhost has two addresses, both attempts hang, and both have to end.
  using silent = await hangingAddress("::");
  const { port } = silent;
  const before = openDescriptors();
  const attempt = rejection(() => connect({ hostname: "localhost", port, timeout: 1_500 }));
  await until(() => socketsOf(port, "SYN-SENT").length > 0, "the attempt is under way");
  const { error, ms } = await attempt;
  assertInstanceOf(error, TimeoutError);
  assertEquals(error.address?.hostname, "localhost");
  assertGreaterOrEqual(ms, 899);
  assertLess(ms, 5_000);
  noneLeft(port);
  await until(() => openDescriptors() <= before, "the descriptors are closed", 5_000);
});

test("connect: no limit ends early, however large", skip(noTables), async () => {
  using silent = await hangingAddress();
  const { hostname, port } = silent;
  const reason = new Error("enough");
  const outcomes = [2 ** 31 - 1, 2 ** 31, 2 ** 32 + 5, 1e15, Number.MAX_VALUE, null].map(
    async (timeout) => {
      const controller = new AbortController();
      const attempt = rejection(() =>
        connect({ hostname, port, timeout, signal: controller.signal })
      );
      await sleep(300);
      controller.abort(reason);
      assertStrictEquals((await attempt).error, reason);
    },
  );
  await Promise.all(outcomes);
  noneLeft(port);
});

test("connect: fractions of a millisecond are a limit", async () => {
  using silent = await hangingAddress();
  const { hostname, port } = silent;
  for (const timeout of [0.001, 0.5, 20.25]) {
    const { error, ms } = await rejection(() => connect({ hostname, port, timeout }));
    assertInstanceOf(error, TimeoutError);
    assertEquals(error.timeout, timeout);
    assertGreaterOrEqual(ms, timeout - 0.1);
    assertLess(ms, 4_000);
  }
});

test("connect: aborted before it starts, it rejects with the reason and dials nobody", async () => {
  using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: null });
  const { hostname, port } = listener.addr;
  const reason = { not: "an error" };
  const { error } = await rejection(() =>
    connect({ hostname, port, timeout: 1_000, signal: AbortSignal.abort(reason) })
  );
  assertStrictEquals(error, reason);
  await assertRejects(() => listener.accept({ timeout: 150 }), TimeoutError);
});

test(
  "connect: aborted half way, it rejects with the reason and leaves no socket",
  skip(noTables),
  async () => {
    using silent = await hangingAddress();
    const { hostname, port } = silent;
    const before = openDescriptors();
    for (const reason of [new RangeError("mine"), "a string", null, undefined]) {
      const controller = new AbortController();
      const { signal } = controller;
      const spy = spySignal(signal);
      const attempt = rejection(() => connect({ hostname, port, timeout: 5_000, signal }));
      await until(() => socketsOf(port, "SYN-SENT").length > 0, "the attempt is under way");
      controller.abort(reason);
      const { error, ms } = await attempt;
      assertLess(ms, 4_000);
      if (reason === undefined) assertEquals((error as Error).name, "AbortError");
      assertStrictEquals(error, signal.reason);
      assertEquals(spy.listeners, 0);
      noneLeft(port);
    }
    await until(() => openDescriptors() <= before, "the descriptors are closed", 5_000);
  },
);

test(
  "connect: aborted in the same tick, it rejects with the reason and leaves no socket",
  skip(noTables),
  async () => {
    using silent = await hangingAddress();
    const { hostname, port } = silent;
    const before = openDescriptors();
    const controller = new AbortController();
    const attempt = rejection(() =>
      connect({ hostname, port, timeout: 5_000, signal: controller.signal })
    );
    controller.abort("at once");
    assertEquals((await within(2_000, attempt)).error, "at once");
    noneLeft(port);
    await sleep(100);
    noneLeft(port);
    await until(() => openDescriptors() <= before, "the descriptor is closed", 5_000);
  },
);

test("connect: a signal that aborts after the handshake changes nothing", async () => {
  const controller = new AbortController();
  const spy = spySignal(controller.signal);
  using sockets = await pair({ connect: { signal: controller.signal } });
  assertEquals(spy.listeners, 0);
  controller.abort();
  await sockets.client.write(Uint8Array.of(3));
  assertEquals(await readExactly(sockets.server, 1), Uint8Array.of(3));
});

test("connect: of timeout and signal the earlier one counts", async () => {
  using silent = await hangingAddress();
  const { hostname, port } = silent;
  const late = AbortSignal.timeout(20_000);
  const first = await rejection(() => connect({ hostname, port, timeout: 80, signal: late }));
  assertInstanceOf(first.error, TimeoutError);
  const signal = AbortSignal.timeout(80);
  const second = await rejection(() => connect({ hostname, port, timeout: 20_000, signal }));
  assertStrictEquals(second.error, signal.reason);
  assertLess(second.ms, 10_000);
});

test("connect: where nobody listens, ECONNREFUSED", async () => {
  const port = getAvailablePort();
  const { error, ms } = await rejection(() =>
    connect({ hostname: "127.0.0.1", port, timeout: 5_000 })
  );
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, "ECONNREFUSED");
  assertEquals(error.name, "SocketError");
  assertEquals(error.operation, "connect");
  assertEquals(error.address?.hostname, "127.0.0.1");
  assertEquals(error.address?.port, port);
  assertInstanceOf(error.cause, Error);
  assertLess(ms, 4_000);
});

test("connect: to a peer that resets at once, ECONNRESET at the latest of the first read", async () => {
  const server = createServer((socket) => socket.resetAndDestroy()).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  for (let i = 0; i < 3; i++) {
    const error = await assertRejects(async () => {
      using socket = await connect({ port, timeout: patience });
      await socket.read(new Uint8Array(1));
    }, SocketError);
    assertEquals(error.code, "ECONNRESET");
  }
  server.close();
});

test("connect: a name that nobody has, ENOTFOUND", async () => {
  const { error } = await rejection(() =>
    connect({ hostname: "nobody.invalid", port: 80, timeout: patience })
  );
  assertInstanceOf(error, SocketError);
  // Without a name server, the system cannot know that there is no such name (RFC 6761).
  assert(["ENOTFOUND", "EAI_AGAIN"].includes(error.code), error.code);
  assertEquals(error.operation, "connect");
  assertEquals(error.address?.hostname, "nobody.invalid");
});

test("connect: every address of a name refuses, ECONNREFUSED", async () => {
  const { error } = await rejection(() =>
    connect({ hostname: "localhost", port: getAvailablePort(), timeout: 5_000 })
  );
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, "ECONNREFUSED");
});

test(
  "connect: a hundred attempts at once, aborted at random, leave nothing",
  skip(noTables),
  async () => {
    using silent = await hangingAddress();
    const before = openDescriptors();
    using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience });
    const accepted = (async () => {
      for await (const socket of listener) socket.close();
    })();
    let opened = 0;
    await Promise.all(Array.from({ length: 100 }, async (_, i) => {
      const { hostname, port } = i % 4 === 0 ? silent : listener.addr;
      const controller = new AbortController();
      const timer = setTimeout(() => controller.abort("random"), Math.random() * 15);
      try {
        const { signal } = controller;
        const socket = await connect({ hostname, port, timeout: 1 + Math.random() * 20, signal });
        opened++;
        socket.close();
      } catch (error) {
        assert(error === "random" || error instanceof TimeoutError, String(error));
      } finally {
        clearTimeout(timer);
      }
    }));
    console.log(`opened ${opened} of 100`);
    noneLeft(silent.port);
    listener.close();
    await accepted;
    await until(() => openDescriptors() <= before, "every descriptor is closed", 5_000);
  },
);

test("connect: many connections at once", async () => {
  using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience });
  const { hostname, port } = listener.addr;
  const clients = Array.from({ length: 100 }, () => connect({ hostname, port, timeout: patience }));
  const servers = Array.from({ length: 100 }, () => listener.accept());
  const ports = async (sockets: typeof clients, end: "localAddr" | "remoteAddr") =>
    (await Promise.all(sockets)).map((socket) => socket[end].port).sort();
  assertEquals(await ports(clients, "localAddr"), await ports(servers, "remoteAddr"));
  for (const socket of [...clients, ...servers]) (await socket).close();
});

test("connect: an option that cannot be set leaves no socket behind", skip(noTables), async () => {
  using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience });
  const before = openDescriptors();
  const { hostname, port } = listener.addr;
  // There is no such algorithm: either the option cannot be set here, or the kernel refuses it.
  const { error } = await rejection(() =>
    connect({ hostname, port, timeout: 2_000, congestionControl: "no-such-name" })
  );
  // If the option was set after the handshake, there was a connection, which has to be closed.
  if (!(error instanceof UnsupportedOptionError)) {
    const accepted = await listener.accept({ timeout: 300 }).catch(() => undefined);
    accepted?.close();
  }
  await until(() => openDescriptors() <= before, "the descriptor is closed", 5_000);
});

for (const timeout of [200, null]) {
  test(`connect: an abort whose event somebody stops is seen, timeout ${timeout}`, async () => {
    using silent = await hangingAddress();
    const controller = new AbortController();
    const { signal } = controller;
    signal.addEventListener("abort", (event) => event.stopImmediatePropagation());
    const { hostname, port } = silent;
    const waiting = rejection(() => connect({ hostname, port, timeout, signal }));
    controller.abort("stop");
    assertEquals((await within(patience, waiting)).error, "stop");
  });
}

test("a connection that is printed shows no other one", async () => {
  using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience });
  using socket = await connect({ port: listener.addr.port, timeout: patience });
  assertEquals(Object.keys(socket), []);
});
