import { test } from "node:test";
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { getAvailablePort } from "@std/net";
import {
  connect,
  listen,
  setOptions,
  type SocketOptions,
  type TcpConnection,
  type TcpListener,
} from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import {
  cannotSet,
  firstLine,
  openDescriptors,
  patience,
  readExactly,
  socketsOf,
  startRuntime,
  testFile,
  until,
  within,
} from "./support.ts";
import {
  assertCode,
  descriptorOf,
  linux,
  noIpv6,
  noKernel,
  notLinux,
  rawBytes,
  rawInts,
} from "./support_listen.ts";

const timeout = patience;
const v4 = "127.0.0.1";

/** Sends a byte in each direction, to show that the two ends belong together. */
async function exchange(client: TcpConnection, server: TcpConnection): Promise<void> {
  await client.write(new Uint8Array([1, 2]));
  assertEquals(await readExactly(server, 2), new Uint8Array([1, 2]));
  await server.write(new Uint8Array([3]));
  assertEquals(await readExactly(client, 1), new Uint8Array([3]));
}

test("listen: has its address, and port 0 becomes a real one", async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  const { addr } = listener;
  assertEquals({ ...addr, port: 0 }, { transport: "tcp", hostname: v4, port: 0 });
  assert(addr.port > 0 && addr.port < 65_536);
  using client = await connect({ hostname: v4, port: addr.port, timeout });
  using server = await listener.accept();
  assertEquals(client.remoteAddr, addr);
  assertEquals(server.localAddr, addr);
  assertEquals(server.remoteAddr, client.localAddr);
  await exchange(client, server);
});

test("listen: on every IPv4 address by default, on the port that was asked for", async () => {
  const port = getAvailablePort();
  using listener = await listen({ port, timeout });
  assertEquals({ ...listener.addr }, { transport: "tcp", hostname: "0.0.0.0", port });
  for (const hostname of ["127.0.0.1", "127.0.0.2"]) {
    using client = await connect({ hostname, port, timeout });
    using server = await listener.accept();
    assertEquals(server.localAddr.hostname, hostname);
    await exchange(client, server);
  }
});

test("listen: takes a name", async () => {
  using listener = await listen({ hostname: "localhost", port: 0, timeout });
  assertMatch(listener.addr.hostname, /^(127\.0\.0\.1|::1)$/);
  using client = await connect({ hostname: "localhost", port: listener.addr.port, timeout });
  using server = await listener.accept();
  await exchange(client, server);
});

test("listen: takes IPv6 with and without brackets", skip(noIpv6), async () => {
  for (const hostname of ["::1", "[::1]"]) {
    using listener = await listen({ hostname, port: 0, timeout });
    assertEquals(listener.addr.hostname, "::1");
    using client = await connect({ hostname, port: listener.addr.port, timeout });
    using server = await listener.accept();
    assertEquals([server.remoteAddr.hostname, client.remoteAddr.hostname], ["::1", "::1"]);
    await exchange(client, server);
  }
});

test("listen: a name that does not exist, and an address of somebody else", async () => {
  const unknown = await listen({ hostname: "nobody.invalid", port: 0, timeout })
    .catch((error) => error);
  assertMatch(unknown.code, /^(ENOTFOUND|EAI_AGAIN)$/);
  assertEquals(unknown.operation, "listen");
  await assertCode(listen({ hostname: "192.0.2.1", port: 0, timeout }), "EADDRNOTAVAIL");
});

test("listen: closing is for good, at once and more than once", skip(notLinux), async () => {
  const before = openDescriptors();
  const close: ((listener: TcpListener) => unknown)[] = [
    (listener) => listener.close(),
    (listener) => listener[Symbol.dispose](),
    (listener) => listener[Symbol.asyncDispose](),
  ];
  for (const way of close) {
    const listener = await listen({ hostname: v4, port: 0, timeout });
    const { port } = listener.addr;
    assertEquals(socketsOf(port, "LISTEN").length, 1);
    await way(listener);
    await way(listener);
    listener.ref();
    listener.unref();
    await until(() => socketsOf(port, "LISTEN").length === 0, "nobody listens");
    await assertCode(connect({ hostname: v4, port, timeout }), "ECONNREFUSED");
    assertEquals(listener.addr.port, port);
  }
  await until(() => openDescriptors() <= before, "no descriptor is left");
});

const backlogSkip = skip(notLinux ?? cannotSet("backlog"));

test("listen: the backlog is the kernel's", backlogSkip, async () => {
  for (const backlog of [3, 77]) {
    using listener = await listen({ hostname: v4, port: 0, timeout, backlog });
    assertEquals(backlogOf(listener), backlog);
    using client = await connect({ hostname: v4, port: listener.addr.port, timeout });
    using server = await listener.accept();
    await exchange(client, server);
    // What runtimes set on the first connection must not change this.
    assertEquals(backlogOf(listener), backlog);
  }
});

test("listen: a backlog goes with what takes system calls", backlogSkip, async () => {
  if (cannotSet("reuseAddress") !== undefined) return;
  using listener = await listen({
    ...{ hostname: v4, port: 0, timeout, backlog: 9 },
    reuseAddress: false,
  });
  assertEquals(backlogOf(listener), 9);
});

/** `tcpi_sacked` of a listener: what `ss -tln` shows as Send-Q. */
function backlogOf(listener: TcpListener): number {
  const info = rawBytes(listener, linux.tcpInfo, 104);
  return new Uint32Array(info.slice().buffer)[7]!;
}

const v6OnlySkip = skip(noIpv6 ?? cannotSet("ipv6Only"));

test("ipv6Only: true leaves IPv4 alone", v6OnlySkip, async () => {
  using listener = await listen({ hostname: "::", port: 0, timeout, ipv6Only: true });
  const { port } = listener.addr;
  if (notLinux === undefined) assertEquals(rawInts(listener, linux.v6Only), [1]);
  await assertCode(connect({ hostname: v4, port, timeout }), "ECONNREFUSED");
  // The port is free for IPv4.
  using other = await listen({ hostname: "0.0.0.0", port, timeout });
  using client = await connect({ hostname: v4, port, timeout });
  using server = await other.accept();
  await exchange(client, server);
  using client6 = await connect({ hostname: "::1", port, timeout });
  using server6 = await listener.accept();
  await exchange(client6, server6);
});

test("ipv6Only: false takes both", v6OnlySkip, async () => {
  using listener = await listen({ hostname: "::", port: 0, timeout, ipv6Only: false });
  const { port } = listener.addr;
  if (notLinux === undefined) assertEquals(rawInts(listener, linux.v6Only), [0]);
  for (const hostname of [v4, "::1"]) {
    using client = await connect({ hostname, port, timeout });
    using server = await listener.accept();
    assertEquals(server.remoteAddr.hostname, hostname);
    await exchange(client, server);
  }
});

test("ipv6Only: means nothing to an IPv4 address", skip(cannotSet("ipv6Only")), async () => {
  for (const ipv6Only of [true, false]) {
    using listener = await listen({ hostname: v4, port: 0, timeout, ipv6Only });
    using client = await connect({ hostname: v4, port: listener.addr.port, timeout });
    using server = await listener.accept();
    await exchange(client, server);
  }
});

/** These values differ from the defaults of every system. */
const accepted: SocketOptions = {
  keepAlive: { idle: 61_000, interval: 7_000, count: 4 },
  userTimeout: 71_000,
  noDelay: false,
  linger: 0,
  receiveBufferSize: 40_000,
  sendBufferSize: 50_000,
  typeOfService: 40,
  hopLimit: 42,
  notSentLowWaterMark: 16_384,
  congestionControl: "reno",
};

/** The options that connections inherit. `noDelay: false` is set in another way, as some runtimes set it. */
const inherited: SocketOptions = { ...accepted, noDelay: true };

for (const options of [accepted, inherited]) {
  test(
    `listen: every option holds for accepted connections, noDelay ${options.noDelay}`,
    skip(notLinux),
    async () => {
      using listener = await listen({ hostname: v4, port: 0, timeout, ...options });
      for (let i = 0; i < 5; i++) {
        using client = await connect({ hostname: v4, port: listener.addr.port, timeout });
        using server = await listener.accept();
        const before = client.getOptions();
        assertAccepted(server.getOptions(), before, options);
        assertEquals(rawInts(server, linux.keepAlive), [1]);
        assertEquals(rawInts(server, linux.idle), [61]);
        assertEquals(rawInts(server, linux.interval), [7]);
        assertEquals(rawInts(server, linux.count), [4]);
        assertEquals(rawInts(server, linux.userTimeout), [71_000]);
        assertEquals(rawInts(server, linux.noDelay), [Number(options.noDelay)]);
        assertEquals(rawInts(server, linux.linger, 8), [1, 0]);
        assertEquals(rawInts(server, linux.tos), [40]);
        assertEquals(rawInts(server, linux.ttl), [42]);
        // The kernel's keepalive timer runs, which shows more than that the option is set.
        const [row] = socketsOf(client.localAddr.port, "ESTABLISHED").filter((row) =>
          row.localPort === listener.addr.port && row.remotePort === client.localAddr.port
        );
        assertEquals(row!.timer, 2);
        assert(row!.timerMs > 55_000 && row!.timerMs <= 61_000, `${row!.timerMs} ms`);
      }
    },
  );
}

test(
  "listen: what runtimes set themselves holds for more connections than the queue takes",
  skip(notLinux),
  async () => {
    const { keepAlive } = accepted;
    using listener = await listen({ hostname: v4, port: 0, timeout, backlog: 1, keepAlive });
    for (let i = 0; i < 6; i++) {
      using client = await connect({ hostname: v4, port: listener.addr.port, timeout });
      using server = await listener.accept();
      assertEquals(client.getOptions().keepAlive, false);
      assertEquals(server.getOptions().keepAlive, keepAlive);
      assertEquals(server.getOptions().noDelay, true);
    }
  },
);

/** Buffer sizes read back doubled on Linux. `otherwise`: what a socket has by itself. */
function assertAccepted(
  actual: SocketOptions,
  otherwise?: SocketOptions,
  wanted: SocketOptions = accepted,
): void {
  for (const [key, value] of Object.entries(wanted) as [keyof SocketOptions, unknown][]) {
    const expected = key.endsWith("BufferSize") ? 2 * Number(value) : value;
    assertEquals(actual[key] as unknown, expected, key);
    // The other side has the default, so this value was not there before.
    if (otherwise !== undefined && key !== "congestionControl" && value !== true) {
      assertNotEquals(otherwise[key] as unknown, expected, `${key} of the other side`);
    }
  }
}

test("listen: noDelay is on for accepted connections by default", skip(noKernel), async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  using _client = await connect({ hostname: v4, port: listener.addr.port, timeout });
  using server = await listener.accept();
  assertEquals(server.getOptions().noDelay, true);
});

test("listen: setOptions on the listener holds for later connections", skip(notLinux), async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  assertEquals(listener.getOptions().keepAlive, false);
  const result = listener.setOptions({ keepAlive: accepted.keepAlive! });
  assertEquals(result, { keepAlive: accepted.keepAlive! });
  using _client = await connect({ hostname: v4, port: listener.addr.port, timeout });
  using server = await listener.accept();
  assertEquals(server.getOptions().keepAlive, accepted.keepAlive!);
});

test("listen: options hold for connections that came before the listener", {
  ...skip(notLinux ?? cannotSet("fd")),
}, async () => {
  // The kernel queues these three before the program that will serve them has set anything.
  const { ready, port, child } = await activated(inherited, 5);
  const early = await Promise.all([1, 2, 3].map(() => connect({ hostname: v4, port, timeout })));
  const result = within(patience, ready());
  const late = await Promise.all([1, 2].map(() => connect({ hostname: v4, port, timeout })));
  const { sockets, addr } = await result;
  assertEquals(addr, { transport: "tcp", hostname: v4, port });
  assertEquals(sockets.length, 5);
  for (const options of sockets) assertAccepted(options, undefined, inherited);
  for (const client of [...early, ...late]) {
    await readExactly(client, 1);
    client.close();
  }
  child.kill("SIGKILL");
});

test(
  "fd: serves on a listening descriptor that was passed in",
  skip(notLinux ?? cannotSet("fd")),
  async () => {
    const given = cannotSet("backlog") === undefined ? { backlog: 7 } : {};
    const { ready, port, child } = await activated(given, 1);
    using client = await connect({ hostname: v4, port, timeout });
    const { addr, backlog, sockets } = await within(patience, ready());
    assertEquals(backlog, given.backlog ?? backlog);
    assertEquals(addr, { transport: "tcp", hostname: v4, port });
    assertEquals(sockets[0]!.noDelay, true);
    assertEquals(await readExactly(client, 1), new Uint8Array([0]));
    child.kill("SIGKILL");
  },
);

/** A program that has the only descriptor of a listening socket, and has not used it yet. */
async function activated(options: SocketOptions & { backlog?: number }, connections: number) {
  const listener = await listen({ hostname: v4, port: 0, timeout });
  const { port } = listener.addr;
  const args = [JSON.stringify(options), String(connections)];
  const fd = descriptorOf(listener);
  const child = startRuntime(testFile("programs/inherited.ts"), args, { fd });
  assertEquals(await firstLine(child), "ready");
  listener.close();
  assertEquals(socketsOf(port, "LISTEN").length, 1);
  const ready = async () => {
    const line = firstLine(child);
    child.stdin!.write("go\n");
    return JSON.parse(await line) as { addr: unknown; backlog: number; sockets: SocketOptions[] };
  };
  return { ready, port, child };
}

test(
  "fd: a descriptor that is closed or no listening socket is refused",
  skip(notLinux ?? cannotSet("fd")),
  async () => {
    const before = openDescriptors();
    const { operation } = await assertCode(listen({ fd: 9_999, timeout }), "EBADF");
    assertEquals(operation, "listen");
    assertEquals(openDescriptors(), before);
  },
);

test(
  "getOptions of a listener: reads the kernel, also after setOptions of the module",
  skip(noKernel),
  async () => {
    using listener = await listen({ hostname: v4, port: 0, timeout, linger: 0 });
    assertEquals(listener.getOptions().linger, 0);
    assertEquals(setOptions(listener, { linger: null }), { linger: null });
    assertEquals(listener.getOptions().linger, null);
  },
);

test("a printed listener or connection shows nothing of what is inside of it", async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout: 5_000 });
  using client = await connect({ port: listener.addr.port, timeout });
  assertEquals(JSON.parse(JSON.stringify({ listener, client })), {
    listener: { timeouts: { accept: null, read: 5_000, write: 5_000 } },
    client: {},
  });
});
