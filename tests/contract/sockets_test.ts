/** `sockets()`: every TCP socket of this process, those of `fetch` and of servers included. */

import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import process from "node:process";
import { test } from "node:test";
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  constants,
  getOptions,
  getsockopt,
  setOptions,
  setsockopt,
  SocketError,
  type SocketFilter,
  sockets,
  tcpInfo,
} from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { webServer } from "../support/web.ts";
import { noTables, pair, patience, spawnRuntime, testFile, until, within } from "./support.ts";
import { descriptorOf, noIpv6, noKernel, rawInts } from "./support_listen.ts";

/** Both ends of a connection, and the port that tells them from everything else here. */
async function lookAtPair() {
  const { listener, client, server, [Symbol.dispose]: dispose } = await pair();
  return { listener, client, server, port: listener.addr.port, [Symbol.dispose]: dispose };
}

test("a connection's both ends and its listener are listed", skip(noKernel), async () => {
  using ends = await lookAtPair();
  const { port, client, server, listener } = ends;
  const found = sockets(({ localAddr, remoteAddr }) =>
    localAddr.port === port || remoteAddr?.port === port
  );
  const byDescriptor = new Map(found.map((entry) => [entry.fd, entry]));
  assertEquals(found.length, 3);
  for (const socket of [client, server]) {
    const { fd, ...rest } = byDescriptor.get(descriptorOf(socket))!;
    assertEquals(
      { ...rest, localAddr: { ...rest.localAddr }, remoteAddr: { ...rest.remoteAddr } },
      {
        kind: "connection",
        state: "ESTABLISHED",
        localAddr: { ...socket.localAddr },
        remoteAddr: { ...socket.remoteAddr },
      },
    );
    assert(fd >= 0);
  }
  const { kind, state, localAddr, remoteAddr } = byDescriptor.get(descriptorOf(listener))!;
  assertEquals([kind, state, localAddr.port, remoteAddr], ["listener", "LISTEN", port, undefined]);
  assert(sockets().length >= 3);
});

test("an entry takes options like any socket", skip(noKernel), async () => {
  using ends = await lookAtPair();
  const [entry] = sockets({ remotePort: ends.port });
  const options = { keepAlive: { idle: 61_000, interval: 11_000, count: 4 }, userTimeout: 31_000 };
  assertEquals(setOptions(entry!, options), options);
  const { keepAlive, userTimeout } = getOptions(entry!);
  assertEquals({ keepAlive, userTimeout }, options);
  assertEquals(rawInts(ends.client, [6, constants.TCP_KEEPINTVL!]), [11]);
  const { IPPROTO_IP, IP_TTL } = constants;
  setsockopt(entry!, IPPROTO_IP!, IP_TTL!, 43);
  assertEquals(getsockopt(entry!, IPPROTO_IP!, IP_TTL!)[0], 43);
  assertEquals(rawInts(ends.client, [IPPROTO_IP!, IP_TTL!]), [43]);
  assertEquals(tcpInfo(entry!).state, "ESTABLISHED");
  assertEquals(ends.server.getOptions().userTimeout, null);
});

test("an entry of a socket that is gone is EBADF", skip(noKernel), async () => {
  const ends = await lookAtPair();
  const [entry] = sockets({ remotePort: ends.port });
  ends[Symbol.dispose]();
  // Deno closes a little later.
  await until(() => sockets({ remotePort: ends.port }).length === 0, "the socket is gone");
  const uses: (() => unknown)[] = [
    () => setOptions(entry!, { noDelay: false }),
    () => getOptions(entry!),
    () => tcpInfo(entry!),
    () => getsockopt(entry!, 6, 1),
    () => setsockopt(entry!, 6, 1, 0),
  ];
  for (const use of uses) {
    const { code, address } = assertThrows(use, SocketError);
    assertEquals([code, address?.port], ["EBADF", ends.port]);
  }
});

test("connections that fetch keeps are listed", skip(noKernel), async () => {
  using server = await webServer();
  const { port } = server;
  const response = await within(patience, fetch(`http://127.0.0.1:${port}/`));
  await response.text();
  const [entry] = sockets({ remotePort: port });
  setOptions(entry!, { keepAlive: { idle: 62_000, interval: 12_000, count: 5 } });
  assertEquals(getOptions(entry!).keepAlive, { idle: 62_000, interval: 12_000, count: 5 });
});

test("each criterion of a filter counts", skip(noKernel), async () => {
  using ends = await lookAtPair();
  const { port, client } = ends;
  const here = client.localAddr.port;
  const rows: [filter: SocketFilter, count: number][] = [
    [{ localPort: port }, 2],
    [{ localPort: port, kind: "listener" }, 1],
    [{ localPort: port, kind: "connection" }, 1],
    [{ remotePort: [port, 1] }, 1],
    [{ remotePort: [here] }, 1],
    [{ remotePort: port, localPort: port }, 0],
    [{ remotePort: port, remoteAddress: "127.0.0.1" }, 1],
    [{ remotePort: port, remoteAddress: "127.0.0.2" }, 0],
    [{ remotePort: port, remoteAddress: "127.0.0.0/8" }, 1],
    [{ remotePort: port, remoteAddress: "127.255.255.255/8" }, 1],
    [{ remotePort: port, remoteAddress: "126.0.0.0/8" }, 0],
    [{ remotePort: port, remoteAddress: "126.0.0.0/7" }, 1],
    [{ remotePort: port, remoteAddress: "127.0.0.2/31" }, 0],
    [{ remotePort: port, remoteAddress: "0.0.0.0/0" }, 1],
    [{ remotePort: port, remoteAddress: "::ffff:127.0.0.1" }, 1],
    [{ remotePort: port, remoteAddress: "::ffff:127.0.0.0/104" }, 1],
    [{ remotePort: port, remoteAddress: "::/0" }, 0],
    [{ localPort: port, localAddress: "127.0.0.1" }, 2],
    [{ localPort: port, remoteAddress: "127.0.0.1" }, 1],
    [({ fd }) => fd === descriptorOf(client), 1],
    [() => false, 0],
  ];
  for (const [filter, count] of rows) {
    assertEquals(sockets(filter).length, count, JSON.stringify(filter));
  }
});

test("addresses of IPv6 are matched by prefix", skip(noKernel ?? noIpv6), async () => {
  using ends = await pair({ listen: { hostname: "::1" }, connect: { hostname: "::1" } });
  const remotePort = ends.listener.addr.port;
  const count = (remoteAddress: string) => sockets({ remotePort, remoteAddress }).length;
  assertEquals(count("::1"), 1);
  assertEquals(count("0:0::1/128"), 1);
  assertEquals(count("::/64"), 1);
  assertEquals(count("::2/126"), 1);
  assertEquals(count("::2/127"), 0);
  assertEquals(count("fe80::/10"), 0);
  assertEquals(count("0.0.0.0/0"), 0);
});

test("an IPv4 peer on an IPv6 socket counts as IPv4", skip(noKernel ?? noIpv6), async () => {
  using ends = await pair({
    listen: { hostname: "::" },
    connect: { hostname: "127.0.0.1" },
  });
  const localPort = ends.listener.addr.port;
  const [entry, ...more] = sockets({ localPort, remoteAddress: "127.0.0.0/8" });
  assertEquals([entry?.remoteAddr?.hostname, more.length], ["127.0.0.1", 0]);
});

test("what is no TCP socket is not listed", skip(noKernel), async () => {
  const datagrams = dgram.createSocket("udp4");
  const server = net.createServer();
  const path = `${process.env["TMPDIR"] ?? "/tmp"}/holdfast-${process.pid}.sock`;
  datagrams.bind(0, "127.0.0.1");
  server.listen(path);
  await Promise.all([once(datagrams, "listening"), once(server, "listening")]);
  try {
    const { port } = datagrams.address();
    assertEquals(sockets({ localPort: port }), []);
    for (const entry of sockets()) assert(entry.localAddr.hostname !== undefined);
  } finally {
    datagrams.close();
    server.close();
  }
});

test("a filter that is wrong is refused", skip(noKernel), () => {
  const rows: [filter: unknown, Class: typeof TypeError | typeof RangeError, name: string][] = [
    [{ port: 1 }, TypeError, "'port' is not an option"],
    [{ localPort: 0 }, RangeError, "'localPort'"],
    [{ localPort: 65_536 }, RangeError, "'localPort'"],
    [{ remotePort: "80" }, TypeError, "'remotePort'"],
    [{ remotePort: [] }, TypeError, "'remotePort'"],
    [{ remotePort: [80, 1.5] }, RangeError, "'remotePort'"],
    [{ kind: "server" }, TypeError, "'kind'"],
    [{ localAddress: 1 }, TypeError, "'localAddress'"],
    [{ localAddress: "localhost" }, RangeError, "'localAddress'"],
    [{ remoteAddress: "10.0.0.0/33" }, RangeError, "'remoteAddress'"],
    [{ remoteAddress: "10.0.0.0/" }, RangeError, "'remoteAddress'"],
    [{ remoteAddress: "10.0.0.0/-1" }, RangeError, "'remoteAddress'"],
    [{ remoteAddress: "::/129" }, RangeError, "'remoteAddress'"],
    [{ remoteAddress: "::ffff:10.0.0.0/95" }, RangeError, "'remoteAddress'"],
    [{ remoteAddress: "fe80::1%nowhere" }, RangeError, "'remoteAddress'"],
    [{ remoteAddress: "" }, RangeError, "'remoteAddress'"],
    [null, TypeError, "'options'"],
    ["listener", TypeError, "'options'"],
  ];
  for (const [filter, Class, message] of rows) {
    assertThrows(() => sockets(filter as SocketFilter), Class, message);
  }
});

test(
  "no child process inherits a socket, whichever thread starts it",
  skip(noKernel ?? noTables),
  async () => {
    const { output } = await spawnRuntime(testFile("programs/children.ts"), [], 6 * patience);
    assertEquals(output.trim(), "0");
  },
);
