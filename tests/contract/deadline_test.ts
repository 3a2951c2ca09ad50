import { test } from "node:test";
import { createServer } from "node:net";
import { once } from "node:events";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStrictEquals,
} from "@std/assert";
import { connect, Deadline, TimeoutError } from "@holdfast/tcp";
import { hangingAddress, pair, patience, sleep, spawnRuntime, testFile, until } from "./support.ts";

const far = 2 ** 40;

test("deadline: with nothing left it has passed, and every call says so", async () => {
  using sockets = await pair();
  const { client, server, listener } = sockets;
  await server.write(new Uint8Array([1]));
  for (const ms of [0, -5, Deadline.after(0).remaining]) {
    const deadline = Deadline.after(ms);
    assert(deadline.expired && deadline.remaining === 0 && deadline.timeout === 0);
    for (
      const call of [
        () => client.read(new Uint8Array(1), { deadline }),
        () => client.write(new Uint8Array(1), { deadline }),
        () => listener.accept({ deadline }),
        () => connect({ hostname: "127.0.0.1", port: 1, timeout: null, deadline }),
      ]
    ) {
      const error = await assertRejects(call, TimeoutError);
      assertEquals(error.timeout, 0, `${call}`);
    }
  }
  assertEquals(await client.read(new Uint8Array(1)), 1);
});

test("deadline: of connect, the earlier of it and the timeout counts", async () => {
  using door = await hangingAddress();
  const { hostname, port } = door;
  const table = [
    { timeout: null, deadline: Deadline.after(120), expected: 120 },
    { timeout: far, deadline: Deadline.after(130), expected: 130 },
    { timeout: 90, deadline: Deadline.after(far), expected: 90 },
  ];
  const errors = await Promise.all(
    table.map(({ timeout, deadline }) =>
      assertRejects(() => connect({ hostname, port, timeout, deadline }), TimeoutError)
    ),
  );
  assertEquals(errors.map(({ timeout }) => timeout), table.map(({ expected }) => expected));
  assertEquals(errors[0]!.operation, "connect");
});

test("deadline: does not bind the connection that connect made", async () => {
  const server = createServer((socket) => {
    until(() => deadline.expired, "the deadline has passed").then(() => socket.end("x"));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  // A busy machine may take its time to connect.
  const deadline = Deadline.after(1_000);
  using socket = await connect({ hostname: "127.0.0.1", port, timeout: patience, deadline });
  assertEquals(await socket.read(new Uint8Array(8)), 1);
  assert(deadline.expired);
  server.close();
});

test("deadline: its signal aborts with a TimeoutError when it passes, not before", async () => {
  const deadline = Deadline.after(80);
  const { signal } = deadline;
  assertStrictEquals(deadline.signal, signal);
  assertEquals(signal.aborted, false);
  // Waiting for the signal does not keep the process alive.
  await Promise.all([once(signal, "abort"), sleep(200)]);
  assert(deadline.expired);
  assertInstanceOf(signal.reason, TimeoutError);
  assertEquals([signal.reason.operation, signal.reason.timeout], ["finish", 80]);
  assertEquals(signal.reason.message, "Cannot finish within 80 ms");
  assertEquals(Deadline.after(far).signal.aborted, false);
});

test("deadline: the signal of one that has passed is aborted already", async () => {
  const deadline = Deadline.after(5);
  await sleep(20);
  assert(deadline.signal.aborted);
  assert(Deadline.after(0).signal.aborted);
  using sockets = await pair();
  const { client } = sockets;
  const call = () => client.read(new Uint8Array(1), { signal: deadline.signal });
  assertStrictEquals(await assertRejects(call, TimeoutError), deadline.signal.reason);
});

test("deadline: a signal that waits does not keep the process alive", async () => {
  const start = performance.now();
  const { code, output } = await spawnRuntime(testFile("programs/deadline.ts"));
  assertEquals([code, output.trim()], [0, "false"]);
  assertLess(performance.now() - start, 25_000);
});
