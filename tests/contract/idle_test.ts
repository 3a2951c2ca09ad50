/** The idle limit: it ends waiting calls when no byte has come or gone for that long, and only then. */

import { test } from "node:test";
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
} from "@std/assert";
import { connect, listen, type TcpConnection, TimeoutError, wrap } from "@holdfast/tcp";
import { connect as netConnect } from "node:net";
import { once } from "node:events";
import { ca, certificate as cert, privateKey as key } from "../support/certificate.ts";
import { skip } from "../support/skip.ts";
import { pair, patience, readExactly, sleep, within } from "./support.ts";
import { errorOf, noKernel } from "./support_listen.ts";

const hostname = "127.0.0.1";
const limits = (idle: number) => ({ connect: patience, read: null, write: null, idle });

function assertIdle(error: unknown, timeout: number): TimeoutError {
  assertInstanceOf(error, TimeoutError);
  assertEquals([error.operation, error.timeout, error.code], ["idle", timeout, "ETIMEDOUT"]);
  assert(error.connectionUsable);
  assert(error.message.includes(`no byte came or went for ${timeout} ms`), error.message);
  return error;
}

test("idle: all calls that wait end, on time, and nothing is lost", async () => {
  using ends = await pair({ connect: { timeout: limits(150) } });
  const { client, server } = ends;
  assertEquals(client.timeouts, { read: null, write: null, idle: 150 });
  const start = performance.now();
  const calls = [client.read(new Uint8Array(1)), client.read(new Uint8Array(1))];
  for (const error of await Promise.all(calls.map(errorOf))) {
    assertEquals(assertIdle(error, 150).address?.port, ends.listener.addr.port);
  }
  const took = performance.now() - start;
  assertGreaterOrEqual(took, 149);
  assertLess(took, 5_000);
  await server.write(new Uint8Array([1, 2]));
  assertEquals(await readExactly(client, 2), new Uint8Array([1, 2]));
});

test("idle: a write says how far it came, and goes on", skip(noKernel), async () => {
  using ends = await pair({
    connect: { timeout: limits(300), sendBufferSize: 4_096 },
    listen: { receiveBufferSize: 4_096 },
  });
  const { client, server } = ends;
  const data = new Uint8Array(4_000_000).map((_, i) => i % 251);
  const read = errorOf(client.read(new Uint8Array(1)));
  const { bytesWritten } = assertIdle(await errorOf(client.write(data)), 300);
  assertEquals(assertIdle(await read, 300).bytesWritten, undefined);
  const received = readExactly(server, data.length);
  // This is not about the idle limit, so there is time for this much data.
  client.setTimeouts({ idle: null });
  assertEquals(client.timeouts, { read: null, write: null });
  await client.write(data.subarray(bytesWritten));
  assertEquals((await received).every((byte, i) => byte === i % 251), true);
});

test("idle: not while bytes come or go, in either direction", async () => {
  using ends = await pair({ connect: { timeout: limits(600) } });
  const { client, server } = ends;
  // The client waits for an answer while it sends, which takes longer than the limit.
  const answer = client.read(new Uint8Array(1));
  const sink = (async () => {
    for (let i = 0; i < 12; i++) await readExactly(server, 1);
  })();
  for (let i = 0; i < 12; i++) {
    await client.write(new Uint8Array(1));
    await sleep(100);
  }
  await sink;
  await server.write(new Uint8Array([9]));
  assertEquals(await within(patience, answer), 1);
  // The peer does not read, but sends.
  let over = false;
  const written = errorOf(client.write(new Uint8Array(20_000_000))).finally(() => over = true);
  for (let i = 0; i < 12; i++) {
    await server.write(new Uint8Array(1));
    await readExactly(client, 1);
    await sleep(100);
  }
  assert(!over);
  assertIdle(await written, 600);
});

test("idle: not while the peer takes a large write slowly", skip(noKernel), async () => {
  using ends = await pair({
    connect: { timeout: limits(800), sendBufferSize: 4_096 },
    listen: { receiveBufferSize: 4_096 },
  });
  const { client, server } = ends;
  const size = 250_000;
  const written = client.write(new Uint8Array(size));
  const into = new Uint8Array(20_000);
  for (let received = 0; received < size;) {
    received += (await server.read(into))!;
    await sleep(150);
  }
  assertEquals(await within(patience, written), size);
});

test("idle: counts from the begin of the wait, not from a byte long ago", async () => {
  using ends = await pair({ connect: { timeout: limits(400) } });
  const { client, server } = ends;
  await server.write(new Uint8Array(1));
  await readExactly(client, 1);
  for (let i = 0; i < 2; i++) {
    await sleep(700);
    const read = client.read(new Uint8Array(1));
    await sleep(50);
    await server.write(new Uint8Array(1));
    assertEquals(await read, 1);
  }
});

test("idle: other limits still count, and null or nothing sets none", async () => {
  using ends = await pair({ connect: { timeout: limits(3_000) } });
  const { client, server } = ends;
  const error = await errorOf(client.read(new Uint8Array(1), { timeout: 50 }));
  assertEquals([(error as TimeoutError).operation, (error as TimeoutError).timeout], ["read", 50]);
  const later = errorOf(server.read(new Uint8Array(1), { timeout: 700 }));
  server.setTimeouts({ idle: 100 });
  const sooner = await errorOf(server.read(new Uint8Array(1)));
  // The call that waited before has ended too, since the limit is for the connection.
  assertIdle(sooner, 100);
  assertIdle(await later, 100);
  server.setTimeouts({ idle: null });
  assertEquals(
    (await errorOf(server.read(new Uint8Array(1), { timeout: 300 })) as TimeoutError).operation,
    "read",
  );
});

const ways: [name: string, open: () => Promise<[TcpConnection, () => void]>][] = [
  ["an accepted connection", async () => {
    const ends = await pair({
      listen: { timeout: { accept: null, read: null, write: null, idle: 80 } },
    });
    return [ends.server, () => ends[Symbol.dispose]()];
  }],
  ["a wrapped socket", async () => {
    const listener = await listen({ hostname, port: 0, timeout: patience });
    const native = netConnect(listener.addr.port, hostname);
    await once(native, "connect");
    const socket = wrap(native, { timeout: { read: null, write: null, idle: 80 } });
    return [socket, () => {
      socket.close();
      listener.close();
    }];
  }],
  ["TLS", async () => {
    const listener = await listen({ hostname, port: 0, timeout: patience, tls: { cert, key } });
    const [socket, server] = await Promise.all([
      connect({
        hostname,
        port: listener.addr.port,
        timeout: limits(80),
        tls: { ca, serverName: "localhost" },
      }),
      listener.accept(),
    ]);
    return [socket, () => {
      socket.close();
      server.close();
      listener.close();
    }];
  }],
];

for (const [name, open] of ways) {
  test(`idle: of ${name}, also of its streams`, async () => {
    const [socket, close] = await open();
    try {
      assertIdle(await errorOf(socket.read(new Uint8Array(1))), 80);
      assertIdle(await errorOf(socket.readable.getReader().read()), 80);
    } finally {
      close();
    }
  });
}
