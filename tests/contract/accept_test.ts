import { test } from "node:test";
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertLess,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "@std/assert";
import {
  type CallOptions,
  connect,
  Deadline,
  listen,
  type TcpConnection,
  TimeoutError,
} from "@holdfast/tcp";
import { pair, patience, readExactly, sleep, spySignal, within } from "./support.ts";
import { assertCode, errorOf } from "./support_listen.ts";

const hostname = "127.0.0.1";
const open = () => listen({ hostname, port: 0, timeout: patience });
const dial = (port: number) => connect({ hostname, port, timeout: patience });

/** Tells which client a connection comes from. */
const from = (socket: TcpConnection) => socket.remoteAddr.port;

test("accept: a timeout rings, on time and with what was asked", async () => {
  using listener = await open();
  const start = performance.now();
  const error = await errorOf(listener.accept({ timeout: 60.5 }));
  const took = performance.now() - start;
  assertInstanceOf(error, TimeoutError);
  assertEquals([error.operation, error.timeout, error.code], ["accept", 60.5, "ETIMEDOUT"]);
  assertEquals(error.address?.port, listener.addr.port);
  assertGreaterOrEqual(took, 60);
  assertLess(took, 5_000);
});

test("accept: the listener's own timeout rings, and null in a call lifts it", async () => {
  const timeout = { accept: 50, read: patience, write: patience };
  using listener = await listen({ hostname, port: 0, timeout });
  assertEquals(listener.timeouts, timeout);
  const error = await errorOf(listener.accept());
  assertInstanceOf(error, TimeoutError);
  assertEquals(error.timeout, 50);
  const unlimited = listener.accept({ timeout: null });
  await sleep(150);
  using client = await dial(listener.addr.port);
  using server = await within(patience, unlimited);
  assertEquals(from(server), client.localAddr.port);
});

test("accept: a timeout that is far away does not ring", async () => {
  using listener = await open();
  const waiting = [2 ** 31, 1e15, Number.MAX_VALUE, 3_000].map((timeout) =>
    listener.accept({ timeout })
  );
  await sleep(100);
  const clients: TcpConnection[] = [];
  for (const accept of waiting) {
    clients.push(await dial(listener.addr.port));
    const server = await within(patience, accept);
    assertEquals(from(server), clients.at(-1)!.localAddr.port);
    server.close();
  }
  for (const client of clients) client.close();
});

test("accept: a number as timeout is for connections, and accept waits for as long as it takes", async () => {
  using listener = await listen({ hostname, port: 0, timeout: 40 });
  assertEquals(listener.timeouts, { accept: null, read: 40, write: 40 });
  const accept = listener.accept();
  await sleep(200);
  using _client = await dial(listener.addr.port);
  using server = await within(patience, accept);
  assertEquals(server.timeouts, { read: 40, write: 40 });
  const error = await errorOf(server.read(new Uint8Array(1)));
  assertInstanceOf(error, TimeoutError);
  assertEquals([error.operation, error.timeout], ["read", 40]);
});

test("accept: of timeout, deadline and signal the earliest counts", async () => {
  using listener = await open();
  const reason = new Error("enough");
  const abortIn = (ms: number) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), ms);
    return controller.signal;
  };
  const far = 60_000;
  const cases = [
    { timeout: 30, deadline: Deadline.after(far), signal: abortIn(2_000), expected: 30 },
    { timeout: far, deadline: Deadline.after(35), signal: abortIn(2_000), expected: 35 },
    { timeout: null, deadline: Deadline.after(36), expected: 36 },
    { timeout: far, deadline: Deadline.after(far), signal: abortIn(30), expected: reason },
  ];
  await Promise.all(cases.map(async ({ expected, ...options }) => {
    const error = await errorOf(listener.accept(options));
    if (expected === reason) return assertStrictEquals(error, reason);
    assertInstanceOf(error, TimeoutError);
    assertEquals(error.timeout, expected);
  }));
});

test("accept: an abort rejects with the signal's reason, and the signal is left alone", async () => {
  using listener = await open();
  const controller = new AbortController();
  const spy = spySignal(controller.signal);
  const waiting = errorOf(listener.accept({ signal: controller.signal }));
  assertEquals(spy.listeners, 1);
  controller.abort("a reason of any type");
  assertEquals(await waiting, "a reason of any type");
  assertEquals(spy.listeners, 0);
  // Aborted before the call: at once, and a connection that waits is kept.
  using client = await dial(listener.addr.port);
  await sleep(50);
  assertEquals(
    await errorOf(listener.accept({ signal: controller.signal })),
    "a reason of any type",
  );
  using server = await listener.accept();
  assertEquals(from(server), client.localAddr.port);
});

test("accept: a deadline that has passed rejects, also when a connection waits, and keeps it", async () => {
  using listener = await open();
  const deadline = Deadline.after(1);
  using client = await dial(listener.addr.port);
  await sleep(50);
  for (let i = 0; i < 3; i++) {
    const error = await errorOf(listener.accept({ deadline }));
    assertInstanceOf(error, TimeoutError);
    assertEquals(error.timeout, 1);
  }
  using server = await listener.accept({ timeout: 1_000 });
  assertEquals(from(server), client.localAddr.port);
});

test("accept: one that timed out or was aborted loses no connection", async () => {
  using listener = await open();
  const controller = new AbortController();
  const early = [
    errorOf(listener.accept({ timeout: 20 })),
    errorOf(listener.accept({ signal: controller.signal })),
    errorOf(listener.accept({ deadline: Deadline.after(25) })),
  ];
  await sleep(60);
  controller.abort();
  await Promise.all(early);
  const clients = await Promise.all([1, 2, 3, 4, 5].map(() => dial(listener.addr.port)));
  const servers: TcpConnection[] = [];
  for (const _ of clients) servers.push(await listener.accept({ timeout: patience }));
  assertEquals(
    servers.map(from).sort(),
    clients.map((client) => client.localAddr.port).sort(),
  );
  // Each is whole: what its client says arrives there.
  for (const client of clients) await client.write(new TextEncoder().encode("hello"));
  for (const server of servers) {
    assertEquals(new TextDecoder().decode(await readExactly(server, 5)), "hello");
  }
  for (const socket of [...clients, ...servers]) socket.close();
});

test("accept: connections that come at the moment of a timeout are not lost", async () => {
  using listener = await open();
  const rounds = 60;
  const clients: TcpConnection[] = [];
  const seen: number[] = [];
  let timeouts = 0;
  const accepting = (async () => {
    while (seen.length < rounds) {
      try {
        const server = await listener.accept({ timeout: 1 + Math.random() * 4 });
        seen.push(from(server));
        server.close();
      } catch (error) {
        assertInstanceOf(error, TimeoutError);
        timeouts++;
      }
    }
  })();
  for (let i = 0; i < rounds; i++) {
    await sleep(Math.random() * 8);
    clients.push(await dial(listener.addr.port));
  }
  await within(patience, accepting);
  assertEquals(seen.sort(), clients.map((client) => client.localAddr.port).sort());
  assert(timeouts > 0, "no accept timed out: the race was none");
  for (const client of clients) client.close();
});

test("accept: calls are served in order, and an early end of one leaves the others", async () => {
  using listener = await open();
  const order: string[] = [];
  const note = (name: string) => (socket: TcpConnection) => {
    order.push(name);
    return socket;
  };
  const first = listener.accept({ timeout: patience }).then(note("first"));
  const middle = errorOf(listener.accept({ timeout: 20 }));
  const last = listener.accept().then(note("last"));
  assertInstanceOf(await middle, TimeoutError);
  using a = await dial(listener.addr.port);
  using one = await within(patience, first);
  using b = await dial(listener.addr.port);
  using two = await within(patience, last);
  assertEquals(order, ["first", "last"]);
  assertEquals([from(one), from(two)], [a.localAddr.port, b.localAddr.port]);
});

test("accept: close rejects all that wait with ECANCELED; after it EBADF", async () => {
  const listener = await open();
  const controller = new AbortController();
  const spy = spySignal(controller.signal);
  const waiting = [
    listener.accept(),
    listener.accept({ timeout: 5_000 }),
    listener.accept({ signal: controller.signal }),
  ].map((accept) => assertCode(accept, "ECANCELED"));
  listener.close();
  for (const error of await Promise.all(waiting)) assertEquals(error.operation, "accept");
  assertEquals(spy.listeners, 0);
  listener.close();
  const after = await assertCode(listener.accept(), "EBADF");
  assertEquals(after.address?.port, listener.addr.port);
  await assertCode(listener.accept({ deadline: Deadline.after(1) }), "EBADF");
});

test("iteration: gives every connection and ends when the listener is closed", async () => {
  const listener = await open();
  const seen: number[] = [];
  const loop = (async () => {
    for await (const server of listener) {
      seen.push(from(server));
      server.close();
    }
  })();
  const clients = [];
  for (let i = 0; i < 3; i++) clients.push(await dial(listener.addr.port));
  while (seen.length < 3) await sleep(5);
  listener.close();
  await within(patience, loop);
  assertEquals(seen, clients.map((client) => client.localAddr.port));
  for (const client of clients) client.close();
  // Once more: it ends at once.
  for await (const _ of listener) throw new Error("a connection from nowhere");
});

test("iteration: leaving the loop closes the listener, by break and by an error alike", async () => {
  for (const leave of ["break", "throw"]) {
    const listener = await open();
    using _client = await dial(listener.addr.port);
    const loop = async () => {
      for await (const server of listener) {
        server.close();
        if (leave === "break") break;
        throw new Error("thrown in the loop");
      }
    };
    if (leave === "break") await within(patience, loop());
    else await assertRejects(() => within(patience, loop()), Error, "thrown in the loop");
    await assertCode(listener.accept(), "EBADF");
    await assertCode(dial(listener.addr.port), "ECONNREFUSED");
  }
});

test("iteration: an accept timeout of the listener ends the loop with TimeoutError", async () => {
  const timeout = { accept: 30, read: null, write: null };
  const listener = await listen({ hostname, port: 0, timeout });
  const loop = async () => {
    for await (const server of listener) server.close();
  };
  assertInstanceOf(await errorOf(loop()), TimeoutError);
  await assertCode(listener.accept(), "EBADF");
});

test("close: connections that nobody accepted are closed, accepted ones live on", async () => {
  using sockets = await pair();
  const { listener, client, server } = sockets;
  const { port } = listener.addr;
  using stranger = await dial(port);
  await sleep(50);
  listener.close();
  const end = await within(patience, stranger.read(new Uint8Array(1)).catch((error) => error));
  assert(end === null || end.code === "ECONNRESET", String(end));
  await server.write(new Uint8Array([7]));
  assertEquals(await readExactly(client, 1), new Uint8Array([7]));
});

test("iteration: return ends a next that waits, and before the first next closes as well", async () => {
  const waiting = await open();
  const iteration = waiting[Symbol.asyncIterator]();
  const nexts = [iteration.next(), iteration.next()];
  await sleep(20);
  const over = { done: true, value: undefined } as const;
  assertEquals(await within(patience, iteration.return!()), over);
  for (const next of nexts) assertEquals(await within(patience, next), over);
  await assertCode(waiting.accept(), "EBADF");
  const fresh = await open();
  await within(patience, fresh[Symbol.asyncIterator]().return!());
  await assertCode(fresh.accept(), "EBADF");
  await assertCode(dial(fresh.addr.port), "ECONNREFUSED");
});

test("iteration: after an error it is over, and a next beside another gets its own connection", async () => {
  const timeout = { accept: 200, read: null, write: null };
  const listener = await listen({ hostname, port: 0, timeout });
  const iteration = listener[Symbol.asyncIterator]();
  const nexts = [iteration.next(), iteration.next()];
  const clients = [await dial(listener.addr.port), await dial(listener.addr.port)];
  const seen = [];
  for (const next of nexts) {
    const { value } = await within(patience, next);
    seen.push(from(value));
    value.close();
  }
  assertEquals(seen.sort(), clients.map(({ localAddr }) => localAddr.port).sort());
  assertInstanceOf(await errorOf(iteration.next()), TimeoutError);
  assertEquals(await iteration.next(), { done: true, value: undefined });
  for (const client of clients) client.close();
});

for (const timeout of [60, null]) {
  test(`accept, read, write: an abort whose event somebody stops is seen, timeout ${timeout}`, async () => {
    using sockets = await pair();
    const { client, listener } = sockets;
    const calls = [
      (options: CallOptions) => listener.accept(options),
      (options: CallOptions) => client.read(new Uint8Array(1), options),
      (options: CallOptions) => client.write(new Uint8Array(2 ** 24), options),
    ];
    await Promise.all(calls.map(async (call) => {
      const controller = new AbortController();
      const { signal } = controller;
      signal.addEventListener("abort", (event) => event.stopImmediatePropagation());
      const waiting = errorOf(call({ timeout, signal }));
      controller.abort("stop");
      assertEquals(await within(patience, waiting), "stop");
    }));
  });
}

test("a signal and no limit: nothing ends the wait", async () => {
  using sockets = await pair();
  const { signal } = new AbortController();
  const waiting = sockets.client.read(new Uint8Array(9), { timeout: null, signal });
  await sleep(2_500);
  await sockets.server.write(new Uint8Array(3));
  assertEquals(await waiting, 3);
});

test("accept: limits and addresses of sockets cannot be changed from outside", async () => {
  using sockets = await pair();
  const { listener, client, server } = sockets;
  for (const { timeouts } of [listener, client, server]) {
    assertThrows(() => Object.assign(timeouts, { read: 1 }), TypeError);
  }
  for (const address of [listener.addr, client.localAddr, client.remoteAddr, server.remoteAddr]) {
    assertThrows(() => Object.assign(address, { port: 1 }), TypeError);
  }
});
