/** How a listener ends without losing a connection, and how many may wait in it. */

import { test } from "node:test";
import { assert, assertEquals, assertInstanceOf, assertLess, assertRejects } from "@std/assert";
import {
  connect,
  constants,
  listen,
  setsockopt,
  type SocketError,
  startTls,
  type TcpConnection,
  type TcpListener,
  TimeoutError,
} from "@holdfast/tcp";
import { ca, certificate as cert, privateKey as key } from "../support/certificate.ts";
import { skip } from "../support/skip.ts";
import { cannotSet, patience, sleep, until, within } from "./support.ts";
import { assertCode, errorOf, notLinux } from "./support_listen.ts";

const hostname = "127.0.0.1";
const open = (options: { maxPending?: number; reusePort?: boolean; port?: number } = {}) =>
  listen({ hostname, port: 0, timeout: patience, ...options });
const dial = (port: number) => connect({ hostname, port, timeout: patience });
const dialAll = (port: number, count: number) =>
  Promise.all(Array.from({ length: count }, () => dial(port)));

/** Whether the peer still has the connection: a byte goes there and comes back. */
async function echoes(client: TcpConnection, server: TcpConnection): Promise<boolean> {
  await client.write(new Uint8Array([7]));
  const into = new Uint8Array(1);
  await server.read(into);
  await server.write(into);
  return await client.read(into) === 1 && into[0] === 7;
}

test("drain: those who wait are accepted, iteration ends, and the port is free", async () => {
  const listener = await open();
  const { port } = listener.addr;
  const clients = await dialAll(port, 20);
  const drained = listener.drain();
  const servers: TcpConnection[] = [];
  for await (const server of listener) servers.push(server);
  await within(patience, drained);
  assertEquals(servers.length, 20);
  for (const client of clients) {
    const server = servers.find(({ remoteAddr }) => remoteAddr.port === client.localAddr.port)!;
    assert(await echoes(client, server));
    client.close();
    server.close();
  }
  await assertCode(dial(port), "ECONNREFUSED");
  await assertCode(listener.accept(), "EBADF");
  await listener.drain();
  (await open({ port })).close();
});

test("drain: a pending accept ends with ECANCELED, a second drain with the first", async () => {
  const listener = await open();
  const accept = errorOf(listener.accept());
  const start = performance.now();
  await within(patience, Promise.all([listener.drain(), listener.drain()]));
  assertEquals((await accept as SocketError).code, "ECANCELED");
  assertLess(performance.now() - start, 5_000);
});

test("drain: at its limit it rejects, and what waits can still be had", async () => {
  const listener = await open();
  using client = await dial(listener.addr.port);
  // Where the runtime accepts only what is asked for, the kernel has it until then.
  const error = await errorOf(listener.drain({ timeout: 300 }));
  assertInstanceOf(error, TimeoutError);
  assertEquals([error.operation, error.timeout], ["drain", 300]);
  assert(error.connectionUsable);
  assert(error.message.includes("1 connection waits to be accepted"), error.message);
  using server = await listener.accept();
  assert(await echoes(client, server));
  await within(patience, listener.drain());
  await assertCode(listener.accept(), "EBADF");
});

test("drain: its own limit is the accept timeout, a signal ends it, close cancels it", async () => {
  const listener = await listen({
    hostname,
    port: 0,
    timeout: { accept: 250, read: patience, write: patience },
  });
  using _client = await dial(listener.addr.port);
  const error = await errorOf(listener.drain());
  assertEquals((error as TimeoutError).timeout, 250);
  const controller = new AbortController();
  const aborted = errorOf(listener.drain({ signal: controller.signal }));
  controller.abort("enough");
  assertEquals(await aborted, "enough");
  const canceled = listener.drain({ timeout: null });
  await sleep(50);
  listener.close();
  await assertCode(canceled, "ECANCELED");
});

test(
  "drain: who comes meanwhile waits, and is refused only when nobody listens",
  skip(notLinux),
  async () => {
    const listener = await open();
    const { port } = listener.addr;
    const clients = await dialAll(port, 3);
    const drained = listener.drain({ timeout: null });
    await sleep(100);
    // Its SYN is not answered, instead of being answered and then reset.
    const late = connect({ hostname, port, timeout: 300 });
    assertInstanceOf(await errorOf(late), TimeoutError);
    const servers = await Promise.all(clients.map(() => listener.accept()));
    await within(patience, drained);
    for (const socket of [...clients, ...servers]) socket.close();
    await assertCode(dial(port), "ECONNREFUSED");
  },
);

test(
  "drain: with reusePort the other listener gets everything at once",
  skip(notLinux ?? cannotSet("reusePort")),
  async () => {
    const older = await open({ reusePort: true });
    const { port } = older.addr;
    // Tests both ways: first the older one drains, then the newer one, each with a connection waiting.
    let rest = older;
    for (const drainNewest of [false, true]) {
      const added = await open({ port, reusePort: true });
      const [ending, staying] = drainNewest ? [added, rest] : [rest, added];
      const before = await dialAll(port, 40);
      const mine: TcpConnection[] = [];
      const theirs: TcpConnection[] = [];
      (async () => {
        for await (const socket of staying) theirs.push(socket);
      })();
      const drained = ending.drain();
      // This connection shows it if the first guess was wrong.
      const meanwhile = (async () => {
        const clients: TcpConnection[] = [];
        for (let i = 0; i < 40; i++) {
          clients.push(await dial(port));
          await sleep(5);
        }
        return clients;
      })();
      for await (const socket of ending) mine.push(socket);
      await within(patience, drained);
      const clients = [...before, ...await meanwhile];
      await until(() => mine.length + theirs.length === clients.length, "all are accepted");
      for (const client of clients) {
        const server = [...mine, ...theirs]
          .find(({ remoteAddr }) => remoteAddr.port === client.localAddr.port)!;
        assert(await echoes(client, server));
      }
      for (const socket of [...clients, ...mine, ...theirs]) socket.close();
      staying.close();
      rest = await open({ port, reusePort: true });
    }
    rest.close();
  },
);

test("drain: a handshake that has begun is waited for, but not for ever", {
  ...skip(notLinux),
}, async () => {
  for (const ends of [true, false]) {
    const listener = await open();
    completeLate(listener);
    using client = await dial(listener.addr.port);
    const start = performance.now();
    const drained = listener.drain();
    const accepted = listener.accept();
    if (ends) {
      await sleep(500);
      await client.write(new Uint8Array([7]));
      using server = await within(patience, accepted);
      assertEquals(await server.read(new Uint8Array(8)), 1);
    } else await assertCode(accepted, "ECANCELED");
    await within(patience, drained);
    assertLess(performance.now() - start, 8_000);
  }
});

/** Makes the kernel complete a connection when its first bytes come, as if the client was far away. */
function completeLate(listener: TcpListener): void {
  const TCP_DEFER_ACCEPT = 9;
  setsockopt(listener, constants.IPPROTO_TCP!, TCP_DEFER_ACCEPT, 10);
}

test(
  "drain: with reusePort, handshakes that end late do not call back new connections",
  skip(notLinux ?? cannotSet("reusePort")),
  async () => {
    const older = await open({ reusePort: true });
    const { port } = older.addr;
    completeLate(older);
    using newer = await open({ port, reusePort: true });
    const early = await dialAll(port, 30);
    const mine: TcpConnection[] = [];
    const theirs: TcpConnection[] = [];
    (async () => {
      for await (const socket of newer) theirs.push(socket);
    })();
    const drained = older.drain();
    const serving = (async () => {
      for await (const socket of older) mine.push(socket);
    })();
    await sleep(100);
    for (const client of early) await client.write(new Uint8Array(1));
    const late: TcpConnection[] = [];
    for (let i = 0; i < 20; i++) {
      late.push(await dial(port));
      await sleep(5);
    }
    await within(patience, Promise.all([drained, serving]));
    await until(() => mine.length + theirs.length === 50, "all are accepted");
    assert(mine.length > 0, "the older one had no handshakes");
    const gotLate = theirs.filter(({ remoteAddr }) =>
      late.some(({ localAddr }) => localAddr.port === remoteAddr.port)
    );
    assertEquals(gotLate.length, late.length);
    for (const socket of [...early, ...late, ...mine, ...theirs]) socket.close();
  },
);

test(
  "drain: with reusePort, a newer listener that drains soon leaves connections to the older one",
  skip(notLinux ?? cannotSet("reusePort")),
  async () => {
    using older = await open({ reusePort: true });
    const { port } = older.addr;
    const newer = await open({ port, reusePort: true });
    // Handshakes that do not end keep it draining for a second.
    completeLate(newer);
    const early = await dialAll(port, 30);
    (async () => {
      for await (const _ of older);
    })();
    let draining = true;
    const drained = newer.drain().finally(() => draining = false);
    // The SYN of this one is dropped, which shows the way of the next. It is sent again a second later.
    const first = dial(port);
    await sleep(200);
    const second = await within(patience, dial(port));
    assert(draining, "connections were kept waiting until the newer one had closed");
    const late = [second, await within(patience, first)];
    await within(patience, drained);
    for (const socket of [...early, ...late]) socket.close();
  },
);

test(
  "drain: with three on a port, the two that stay share connections",
  skip(notLinux ?? cannotSet("reusePort")),
  async () => {
    const first = await open({ reusePort: true });
    const { port } = first.addr;
    const others = [await open({ port, reusePort: true }), await open({ port, reusePort: true })];
    const before = await dialAll(port, 30);
    const drained = first.drain();
    let served = 0;
    for await (const socket of first) {
      served++;
      socket.close();
    }
    await within(patience, drained);
    const clients = await dialAll(port, 60);
    const counts = others.map(() => 0);
    others.forEach(async (listener, i) => {
      for await (const socket of listener) {
        counts[i]!++;
        socket.close();
      }
    });
    await until(() => served + counts[0]! + counts[1]! === 90, "all are accepted");
    assert(counts.every((count) => count > 10), `${counts}`);
    for (const client of [...before, ...clients]) client.close();
    for (const listener of others) listener.close();
  },
);

test("shutdown: waits for those who finish, resets those who do not, and counts them", async () => {
  const listener = await open();
  const clients = await dialAll(listener.addr.port, 3);
  const servers: TcpConnection[] = [];
  const serving = (async () => {
    for await (const socket of listener) servers.push(socket);
  })();
  await until(() => servers.length === 3, "all are accepted");
  assertEquals(listener.stats, {
    accepted: 3,
    open: 3,
    pending: 0,
    dropped: 0,
    failedHandshakes: 0,
  });
  const shutdown = listener.shutdown({ timeout: 1_500 });
  await serving;
  servers[0]!.close();
  const { remoteAddr } = servers[1]!;
  assertEquals(await within(patience, shutdown), { finished: 1, reset: 2 });
  assertEquals(listener.stats.open, 0);
  assert(clients.some(({ localAddr }) => localAddr.port === remoteAddr.port));
  for (const client of clients) {
    await client.read(new Uint8Array(1)).catch(() => {});
    client.close();
  }
});

test("shutdown: ends as soon as the last connection has; lost ones do not count as open", async () => {
  const listener = await open();
  const [one, two] = await dialAll(listener.addr.port, 2);
  const servers = [await listener.accept(), await listener.accept()];
  const reads = servers.map((server) => server.read(new Uint8Array(1)).catch((error) => error));
  const start = performance.now();
  const shutdown = listener.shutdown({ timeout: 60_000 });
  one!.reset();
  two!.close();
  const results = await Promise.all(reads);
  assertEquals(results.filter((result) => result === null).length, 1);
  servers[results.indexOf(null)]!.close();
  assertEquals(await within(patience, shutdown), { finished: 2, reset: 0 });
  assertLess(performance.now() - start, 8_000);
});

test("shutdown: nobody accepts, so they are reset at the limit or when the signal says so", async () => {
  for (const bySignal of [false, true]) {
    const listener = await open();
    using client = await dial(listener.addr.port);
    const limits = bySignal
      ? { timeout: null, signal: AbortSignal.timeout(1_000) }
      : { timeout: 1_000 };
    assertEquals(await within(patience, listener.shutdown(limits)), { finished: 0, reset: 1 });
    await client.read(new Uint8Array(1)).then((read) => assertEquals(read, null), () => {});
  }
});

test("drain, TLS: handshakes that run are waited for, failed ones are counted", async () => {
  const listener = await listen({ hostname, port: 0, timeout: patience, tls: { cert, key } });
  const { port } = listener.addr;
  const accepted = listener.accept();
  using plain = await dial(port);
  await plain.write(new TextEncoder().encode("GET / HTTP/1.0\r\n\r\n"));
  await until(() => listener.stats.failedHandshakes === 1, "the failure is counted");
  // This client is silent for longer than everything else takes.
  const slow = await dial(port);
  const drained = listener.drain();
  const early = await Promise.race([drained.then(() => "drained"), sleep(600).then(() => "waits")]);
  assertEquals(early, "waits");
  const [client, server] = await within(
    patience,
    Promise.all([startTls(slow, { ca, serverName: "localhost" }), accepted]),
  );
  assert(await echoes(client, server));
  await within(patience, drained);
  client.close();
  server.close();
});

test("maxPending: beyond it the newest are reset, or stay with the kernel", async () => {
  using listener = await open({ maxPending: 3 });
  const clients = await dialAll(listener.addr.port, 8);
  await sleep(300);
  using first = await listener.accept();
  const { accepted, pending, dropped } = listener.stats;
  assertEquals(accepted, 1);
  if (dropped === 0) {
    // This runtime leaves them to the kernel, so none is lost.
    assert(pending <= 3, `${pending} wait`);
    for (let i = 1; i < 8; i++) (await listener.accept({ timeout: 3_000 })).close();
  } else {
    assertEquals([pending, dropped], [2, 5]);
    const results = await Promise.all(
      clients.map((client) =>
        client.read(new Uint8Array(1), { timeout: 200 }).catch((error) => error)
      ),
    );
    assertEquals(results.filter((error) => error.code === "ECONNRESET").length, 5);
    for (let i = 0; i < 2; i++) (await listener.accept({ timeout: 3_000 })).close();
    await assertRejects(() => listener.accept({ timeout: 50 }), TimeoutError);
    // There is room again.
    using _more = await dial(listener.addr.port);
    (await listener.accept({ timeout: 3_000 })).close();
    assertEquals(listener.stats.dropped, 5);
  }
  first.close();
  for (const client of clients) client.close();
});
