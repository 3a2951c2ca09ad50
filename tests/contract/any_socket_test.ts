/**
 * Options of sockets that other libraries opened: every kind that the runtime has, and bare descriptors.
 */

import { once } from "node:events";
import { readdirSync, readlinkSync, rmSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import dgram from "node:dgram";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  connect,
  constants,
  getOptions,
  getsockopt,
  type KernelOptions,
  listen,
  setOptions,
  setsockopt,
  SocketError,
  tcpInfo,
} from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { openDescriptors, pair, patience, sleep, until } from "./support.ts";
import { descriptorOfPorts, noIpv6, noKernel, notLinux } from "./support_listen.ts";
import { type Kind, kinds, kindsOn, type NativeSocket, netSockets } from "./support_native.ts";

/** What is set, and what the kernel then reports. Times that it counts in seconds are rounded up. */
const wanted = {
  keepAlive: { idle: 60_400, interval: 7_000, count: 4 },
  userTimeout: 12_345,
  linger: 0,
  hopLimit: 41,
  typeOfService: 0x20,
  notSentLowWaterMark: 20_000,
};
const reported = { ...wanted, keepAlive: { ...wanted.keepAlive, idle: 61_000 } };

/** Reads a socket by the descriptor from the kernel's tables, so without the library's search. */
function truthOf({ localPort, remotePort }: NativeSocket): () => KernelOptions {
  const fd = descriptorOfPorts(localPort, remotePort);
  return () => getOptions({ fd });
}

const sizes = ["receiveBufferSize", "sendBufferSize", "maxSegmentSize"] as const;

/** Leaves out what the kernel changes by itself. */
function stable(options: KernelOptions): KernelOptions {
  const copy: Record<string, unknown> = { ...options };
  for (const size of sizes) delete copy[size];
  return copy;
}

async function setAndReadBack([, open]: Kind): Promise<void> {
  using sockets = await open();
  const truths = new Map(sockets.all.map((one) => [one, truthOf(one)]));
  for (const [one, truth] of truths) {
    const others = [...truths].filter(([other]) => other !== one).map(([, truth]) => truth);
    const before = stable(getOptions(one.socket));
    const othersBefore = others.map((other) => stable(other()));
    assertEquals(before, stable(truth()), one.name);
    const noDelay = !before.noDelay;
    for (const [key, value] of Object.entries({ ...reported, noDelay })) {
      assertNotEquals(before[key as keyof KernelOptions], value, `${one.name}: ${key} before`);
    }
    assertEquals(
      setOptions(one.socket, { ...wanted, noDelay }),
      { ...reported, noDelay },
      one.name,
    );
    const after = { ...before, ...reported, noDelay };
    assertEquals(stable(truth()), after, one.name);
    assertEquals(stable(getOptions(one.socket)), after, one.name);
    assertEquals(others.map((other) => stable(other())), othersBefore, one.name);
    // The switch is set by the runtime, and values by the kernel. One must not hide the other.
    for (const on of [before.noDelay!, noDelay, before.noDelay!, before.noDelay!]) {
      setOptions(one.socket, { noDelay: on });
      assertEquals(truth().noDelay, on, one.name);
    }
    setOptions(one.socket, { keepAlive: false });
    assertEquals(truth().keepAlive, false, one.name);
    setOptions(one.socket, { keepAlive: true });
    assertEquals(truth().keepAlive, reported.keepAlive, `${one.name}: values kept`);
    setOptions(one.socket, { keepAlive: { count: 9 }, userTimeout: null, linger: null });
    const { keepAlive, userTimeout, linger } = truth();
    assertEquals(keepAlive, { ...reported.keepAlive, count: 9 }, one.name);
    assertEquals([userTimeout, linger], [null, null], one.name);
    assertEquals(tcpInfo(one.socket).state, one.remotePort === 0 ? "LISTEN" : "ESTABLISHED");
  }
}

for (const kind of kinds) {
  test(`options of ${kind[0]} sockets`, skip(notLinux), () => setAndReadBack(kind));
}

test("options of IPv6 sockets", skip(notLinux ?? noIpv6), async () => {
  await setAndReadBack(["IPv6", netSockets("::1", "::1")]);
  using sockets = await netSockets("::1", "::1")();
  for (const { socket } of sockets.all) {
    const { IPPROTO_IPV6, IPV6_TCLASS, IPV6_UNICAST_HOPS } = constants;
    setOptions(socket, { typeOfService: 0x40, hopLimit: 33 });
    assertEquals(getsockopt(socket, IPPROTO_IPV6!, IPV6_TCLASS!)[0], 0x40);
    assertEquals(getsockopt(socket, IPPROTO_IPV6!, IPV6_UNICAST_HOPS!)[0], 33);
  }
});

test("options of IPv4 on dual-stack sockets", skip(notLinux ?? noIpv6), async () => {
  await setAndReadBack(["mapped", netSockets("::", "127.0.0.1")]);
  using sockets = await netSockets("::", "127.0.0.1")();
  const [, accepted, server] = sockets.all;
  for (const { socket } of [accepted!, server!]) {
    const { IPPROTO_IP, IPPROTO_IPV6, IP_TOS, IPV6_TCLASS } = constants;
    setOptions(socket, { typeOfService: 0x40 });
    assertEquals(getsockopt(socket, IPPROTO_IP!, IP_TOS!)[0], 0x40);
    assertEquals(getsockopt(socket, IPPROTO_IPV6!, IPV6_TCLASS!)[0], 0x40);
  }
});

test("a closed socket is EBADF", skip(noKernel), async () => {
  for (const [, open] of kinds) {
    const sockets = await open();
    // The descriptor is found once before, so that the remembered one is tested as well.
    for (const { socket } of sockets.all) getOptions(socket);
    sockets[Symbol.dispose]();
    await sleep(200);
    for (const { socket, name } of sockets.all) {
      for (
        const call of [
          () => getOptions(socket),
          () => setOptions(socket, { linger: 0 }),
          () => setOptions(socket, { noDelay: false }),
          () => setOptions(socket, { keepAlive: true }),
          () => tcpInfo(socket),
        ]
      ) {
        const error = assertThrows(call);
        assertInstanceOf(error, SocketError, `${name}: ${error}`);
        assertEquals(error.code, "EBADF", name);
      }
    }
  }
});

/** A net server, and a net socket connected to it, with the addresses that `old` had. */
async function again(
  old: NativeSocket,
  host: string,
  port: number,
): Promise<net.Socket[] & { server: net.Server }> {
  const server = net.createServer().listen(port, host);
  await once(server, "listening");
  const localPort = old.localPort === port ? old.remotePort : old.localPort;
  const socket = net.connect({ port, host, localAddress: host, localPort });
  try {
    const [[accepted]] = await Promise.all([once(server, "connection"), once(socket, "connect")]);
    return Object.assign([socket, accepted], { server });
  } catch (error) {
    server.close();
    throw error;
  }
}

for (const [i, [name]] of kinds.entries()) {
  test(
    `closed ${name} sockets never lead to others with their addresses`,
    skip(notLinux),
    async () => {
      for (let attempt = 1;; attempt++) {
        // Where others have left every port that connect() picks in TIME-WAIT, none of 127.0.0.1 can
        // be bound.
        const host = attempt > 5 && noIpv6 === undefined ? "::1" : "127.0.0.1";
        const [, open] = kindsOn(host)[i]!;
        const openBefore = openDescriptors();
        const sockets = await open();
        const [dialled, , listener] = sockets.all;
        // Closes with RST, so that the addresses are free at once.
        for (const { socket, remotePort } of sockets.all) {
          if (remotePort !== 0) setOptions(socket, { linger: 0 });
          else getOptions(socket);
        }
        sockets[Symbol.dispose]();
        await sleep(200);
        // One that is open still, without a peer, could be the one that is looked for later.
        await until(() => openDescriptors() <= openBefore, "all of them are closed");
        let others;
        try {
          others = await again(dialled!, host, listener!.localPort);
        } catch (error) {
          // Another program may have taken a port meanwhile, or left its own in TIME-WAIT there.
          if ((error as { code?: string }).code === "EADDRINUSE" && attempt < 40) continue;
          throw error;
        }
        const { server } = others;
        try {
          const present = [...others, server];
          const before = present.map((socket) => stable(getOptions(socket)));
          for (const { socket, name } of sockets.all) {
            const error = assertThrows(() => setOptions(socket, { hopLimit: 9, linger: 0 }));
            assertInstanceOf(error, SocketError, `${name}: ${error}`);
            assertEquals(error.code, "EBADF", name);
          }
          assertEquals(present.map((socket) => stable(getOptions(socket))), before);
        } finally {
          for (const socket of others) socket.destroy();
          server.close();
        }
        return;
      }
    },
  );
}

test("connections that share a local port", skip(noKernel), async () => {
  using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience });
  const { port } = listener.addr;
  const clients = await Promise.all(
    Array.from({ length: 20 }, () => connect({ port, timeout: patience })),
  );
  const servers = [];
  for (const _ of clients) servers.push(await listener.accept());
  servers.forEach((socket, i) => setOptions(socket.native, { hopLimit: 100 + i }));
  assertEquals(servers.map((it) => getOptions(it.native).hopLimit), servers.map((_, i) => 100 + i));
  for (const client of clients) assertEquals(getOptions(client.native).hopLimit, 64);
  for (const socket of [...clients, ...servers]) socket.close();
});

test("old connections among many new ones", skip(noKernel), async () => {
  using sockets = await pair();
  const { port } = sockets.listener.addr;
  const others = [];
  for (let i = 0; i < 150; i++) others.push(await connect({ port, timeout: patience }));
  // Frees lower numbers, so that the next descriptors are not the highest.
  for (const other of others.splice(20, 50)) other.close();
  const last = await connect({ port, timeout: patience });
  for (const [i, one] of [sockets.client, ...others, last].entries()) {
    setOptions(one.native, { hopLimit: 20 + i });
  }
  for (const [i, one] of [sockets.client, ...others, last].entries()) {
    assertEquals(getOptions(one.native).hopLimit, 20 + i);
  }
  for (const other of [...others, last]) other.close();
});

test("a bare descriptor", skip(notLinux), async () => {
  using sockets = await pair();
  const { localAddr, remoteAddr } = sockets.client;
  const fd = descriptorOfPorts(localAddr.port, remoteAddr.port);
  assertEquals(setOptions({ fd }, { hopLimit: 77 }), { hopLimit: 77 });
  assertEquals(sockets.client.getOptions().hopLimit, 77);
  setsockopt({ fd }, constants.IPPROTO_IP!, constants.IP_TTL!, 78);
  assertEquals(getsockopt({ fd }, constants.IPPROTO_IP!, constants.IP_TTL!)[0], 78);
  sockets.client.close();
  await sleep(20);
  await until(() => {
    try {
      getOptions({ fd });
      return false;
    } catch (error) {
      return error instanceof SocketError && error.code === "EBADF";
    }
  }, "EBADF for a closed descriptor");
});

test("what is not a TCP socket says so", skip(notLinux), async () => {
  const file = readdirSync("/proc/self/fd").find((fd) => {
    try {
      return !readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  });
  const error = assertThrows(() => getOptions({ fd: Number(file) }), TypeError);
  assertStringIncludes(error.message, "is not a socket");

  const udp = dgram.createSocket("udp4").bind(0, "127.0.0.1");
  await once(udp, "listening");
  assertThrows(() => getOptions(udp), TypeError, "must be a TCP socket");
  for (const fd of socketDescriptors()) {
    // UDP sockets and the runtime's own socket pairs are refused. Nothing else is open.
    assertThrows(() => setOptions({ fd }, { hopLimit: 3 }), TypeError, "is not TCP");
  }
  udp.close();

  const path = join(tmpdir(), `holdfast-${process.pid}.sock`);
  const server = net.createServer().listen(path);
  await once(server, "listening");
  const client = net.connect(path);
  const [[accepted]] = await Promise.all([once(server, "connection"), once(client, "connect")]);
  for (const socket of [server, client, accepted]) {
    assertThrows(() => getOptions(socket), TypeError, "not TCP");
    assertThrows(() => setOptions(socket, { keepAlive: true }), TypeError, "not TCP");
    assertThrows(() => setOptions(socket, { noDelay: true }), TypeError, "not TCP");
  }
  client.destroy();
  accepted.destroy();
  server.close();
  rmSync(path, { force: true });
});

function socketDescriptors(): number[] {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      return false;
    }
  }).map(Number);
}

test("a socket that is not connected yet says so", skip(noKernel), async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const connecting = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
  const fresh = new net.Socket();
  for (const [socket, message] of [[connecting, "connecting"], [fresh, "not connected"]] as const) {
    for (
      const call of [
        () => getOptions(socket),
        () => setOptions(socket, { noDelay: true }),
        () => setOptions(socket, { hopLimit: 7 }),
      ]
    ) {
      const error = assertThrows(call);
      assertInstanceOf(error, SocketError);
      assertEquals(error.code, "ENOTCONN");
      assertStringIncludes(error.message, message);
      assertMatch(error.message, /setOptions.*after its "connect" event/);
    }
  }
  const notListening = assertThrows(() => getOptions(net.createServer()));
  assertInstanceOf(notListening, SocketError);
  assertEquals(notListening.code, "EBADF");
  await once(connecting, "connect");
  connecting.destroy();
  server.close();
});

test("the kernel's refusal leaves everything as it was", skip(noKernel), async () => {
  using sockets = await pair();
  const before = stable(sockets.client.getOptions());
  const error = assertThrows(() =>
    sockets.client.setOptions({
      congestionControl: "no-such-thing",
      keepAlive: { idle: 5_000 },
      userTimeout: 1_000,
    })
  );
  assertInstanceOf(error, SocketError);
  assertEquals([error.code, error.operation], ["ENOENT", "setsockopt"]);
  assertEquals(stable(sockets.client.getOptions()), before);
});

test("getsockopt and setsockopt report what the kernel says", skip(noKernel), async () => {
  using sockets = await pair();
  const { client } = sockets;
  const unknown = assertThrows(() => getsockopt(client, constants.IPPROTO_TCP!, 9_999));
  assertInstanceOf(unknown, SocketError);
  assertEquals([unknown.code, unknown.operation], ["ENOPROTOOPT", "getsockopt"]);
  const { IPPROTO_TCP, TCP_KEEPCNT } = constants;
  const invalid = assertThrows(() => setsockopt(client, IPPROTO_TCP!, TCP_KEEPCNT!, 128));
  assertInstanceOf(invalid, SocketError);
  assertEquals([invalid.code, invalid.operation], ["EINVAL", "setsockopt"]);
  setsockopt(client, IPPROTO_TCP!, TCP_KEEPCNT!, Uint8Array.of(5, 0, 0, 0));
  assertEquals(getsockopt(client, IPPROTO_TCP!, TCP_KEEPCNT!), Uint8Array.of(5, 0, 0, 0));
  assertEquals(getsockopt(client, IPPROTO_TCP!, TCP_KEEPCNT!, 1), Uint8Array.of(5));
  assert(getsockopt(client, IPPROTO_TCP!, constants.TCP_INFO!, 512).length > 100);
});
