/** `guard()`: options for every TCP socket of this process that this library did not open. */

import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { test } from "node:test";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  connect,
  getOptions,
  guard,
  type GuardOptions,
  listen,
  onlySupported,
  setOptions,
  sockets,
  startTls,
} from "@holdfast/tcp";
import { ca, certificate, privateKey } from "../support/certificate.ts";
import { skip } from "../support/skip.ts";
import { together } from "../support/together.ts";
import { webServer } from "../support/web.ts";
import {
  cannotSet,
  hangingAddress,
  pair,
  patience,
  sleep,
  spawnRuntime,
  testFile,
  until,
  within,
} from "./support.ts";
import { noKernel } from "./support_listen.ts";
import { noNamespace, unshare } from "./support_namespace.ts";

const keepAlive = { idle: 61_000, interval: 11_000, count: 4 };

/** A web server that keeps connections, and a client of `fetch`. */
async function web() {
  const server = await webServer();
  const { port } = server;
  return {
    port,
    async fetch() {
      const response = await within(patience, fetch(`http://127.0.0.1:${port}/`));
      return await response.text();
    },
    [Symbol.dispose]: () => server[Symbol.dispose](),
  };
}

/** What an owner asks for on a socket of `node:net`. */
const owners = { keepAlive: true, keepAliveInitialDelay: 30_000 };

/** Keeps this thread busy. */
function block(ms: number): void {
  const start = performance.now();
  while (performance.now() - start < ms);
}

/** Values of every socket with the port at its far end. */
const valuesOf = (remotePort: number) =>
  sockets({ remotePort }).map((entry) => getOptions(entry).keepAlive);

test("sockets that are open have the options at once", skip(noKernel), async () => {
  using site = await web();
  await site.fetch();
  const remotePort = site.port;
  assert(sockets({ remotePort }).length > 0);
  using guarded = guard({ match: { remotePort }, keepAlive });
  for (const values of valuesOf(remotePort)) assertEquals(values, keepAlive);
  const { seen, applied, failed, ended } = guarded.stats;
  assertEquals([seen, failed, ended], [applied, 0, 0]);
  assertEquals(guarded.sockets.length, applied);
  assertEquals(guarded.sockets.map(({ fd }) => fd), sockets({ remotePort }).map(({ fd }) => fd));
});

test("new sockets have them soon", skip(noKernel), async () => {
  using site = await web();
  const remotePort = site.port;
  using guarded = guard({ match: { remotePort }, every: 50, keepAlive, userTimeout: 31_000 });
  assertEquals(guarded.stats.seen, 0);
  await site.fetch();
  await until(() => guarded.stats.applied > 0, "the guard has seen the connection of fetch");
  const [entry] = sockets({ remotePort });
  const options = getOptions(entry!);
  assertEquals([options.keepAlive, options.userTimeout], [keepAlive, 31_000]);
});

test(
  "what a runtime sets when a socket is connected does not come after them",
  skip(noKernel),
  async () => {
    using site = await web();
    using _ = guard({ match: { remotePort: site.port }, every: 10, keepAlive });
    const socket = net.connect({ port: site.port, host: "127.0.0.1", ...owners });
    const connected = once(socket, "connect");
    // The kernel has connected it, and the guard's timer is due, before the runtime looks at either.
    setImmediate(() => block(60));
    await connected;
    await sleep(100);
    assertEquals(getOptions(socket).keepAlive, keepAlive);
    socket.destroy();
  },
);

test(
  "nor does what its owner sets, when the guard sees the connection first",
  skip(noKernel),
  async () => {
    using site = await web();
    using guarded = guard({ match: { remotePort: site.port }, every: 10, keepAlive });
    // How long it is busy decides who comes first.
    for (const round of Array(40).keys()) {
      const { seen } = guarded.stats;
      const socket = net.connect({ port: site.port, host: "127.0.0.1", ...owners });
      socket.once("connect", () => socket.setKeepAlive(true, 30_000));
      setTimeout(block, round % 5, round % 20);
      block(round % 13);
      await within(patience, once(socket, "connect"));
      await until(() => guarded.stats.seen > seen, "the guard has seen it");
      const idle = () => (getOptions(socket).keepAlive as typeof keepAlive).idle;
      await until(() => idle() === keepAlive.idle, `the guard's values in round ${round}`);
      socket.destroy();
    }
  },
);

test("a socket is given them once", skip(noKernel), async () => {
  using site = await web();
  await site.fetch();
  const remotePort = site.port;
  using guarded = guard({ match: { remotePort }, every: 20, keepAlive });
  const { applied } = guarded.stats;
  const [entry] = sockets({ remotePort });
  setOptions(entry!, { keepAlive: false });
  await sleep(200);
  assertEquals(getOptions(entry!).keepAlive, false);
  assertEquals(guarded.stats.applied, applied);
});

test("connections inherit what a listener was given", skip(noKernel), async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port: localPort } = server.address() as AddressInfo;
  using guarded = guard({ match: { kind: "listener", localPort }, keepAlive });
  assertEquals(guarded.stats.applied, 1);
  const client = net.connect(localPort, "127.0.0.1");
  const [accepted] = await within(patience, once(server, "connection")) as [net.Socket];
  try {
    assertEquals(getOptions(accepted).keepAlive, keepAlive);
  } finally {
    client.destroy();
    accepted.destroy();
    server.close();
  }
});

test("what this library opened is left alone", skip(noKernel), async () => {
  using before = await pair();
  using guarded = guard({ every: 20, keepAlive });
  using after = await pair();
  const client = await connect({ port: before.listener.addr.port, timeout: patience });
  const server = await before.listener.accept();
  const applied = guarded.stats.applied;
  await sleep(200);
  const all = [before.client, before.server, before.listener, after.client, after.server];
  for (const socket of [...all, after.listener, client, server]) {
    assertEquals(getOptions(socket).keepAlive, false, socket.constructor.name);
  }
  assertEquals(guarded.stats.applied, applied);
  client.close();
  server.close();
});

test("connections that wait to be accepted here are left alone", skip(noKernel), async () => {
  using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience });
  using _guarded = guard({ match: { localPort: listener.addr.port }, every: 20, keepAlive });
  const client = net.connect(listener.addr.port, "127.0.0.1");
  await within(patience, once(client, "connect"));
  await sleep(100);
  using accepted = await listener.accept();
  await sleep(100);
  assertEquals(getOptions(accepted).keepAlive, false);
  client.destroy();
});

for (const how of ["connect", "startTls"]) {
  test(
    `a connection of ours is left alone in a slow TLS handshake of ${how}`,
    skip(noKernel),
    async () => {
      const server = net.createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      const accepted = once(server, "connection");
      const { port } = server.address() as AddressInfo;
      using guarded = guard({ match: { remotePort: port }, every: 20, keepAlive });
      const stop = new AbortController();
      const { signal } = stop;
      const call = how === "connect"
        ? connect({ port, timeout: null, tls: { ca }, signal })
        : connect({ port, timeout: null }).then((plain) => startTls(plain, { ca }, { signal }));
      const [silent] = await within(patience, accepted) as [net.Socket];
      await sleep(1_000);
      assertEquals(guarded.stats.seen, 0);
      stop.abort();
      await assertRejects(() => call);
      silent.destroy();
      server.close();
    },
  );
}

test("others' connections to a port that we are dialling are not", skip(noKernel), async () => {
  // Its listener has some connections already, which net.connect has opened.
  using hanging = await hangingAddress();
  const { hostname, port } = hanging;
  const stop = new AbortController();
  const dialling = connect({ hostname, port, timeout: null, signal: stop.signal });
  using guarded = guard({ match: { remotePort: port }, every: 20, keepAlive });
  await until(() => guarded.stats.applied > 0, "guarded");
  stop.abort();
  await assertRejects(() => dialling);
});

test("a connection of ours is left alone after startTls", skip(noKernel), async () => {
  using ends = await pair();
  const secure = { server: true, cert: certificate, key: privateKey } as const;
  const both = [startTls(ends.server, secure), startTls(ends.client, { ca })] as const;
  const [server, client] = await within(patience, Promise.all(both));
  using guarded = guard({ match: { localPort: client.localAddr.port }, every: 20, keepAlive });
  await sleep(100);
  assertEquals(guarded.stats.seen, 0);
  assertEquals(getOptions(client).keepAlive, false);
  client.close();
  server.close();
});

test("a guard that is closed does nothing more", skip(noKernel), async () => {
  using site = await web();
  const remotePort = site.port;
  const guarded = guard({ match: { remotePort }, every: 20, userTimeout: 31_000 });
  guarded.close();
  guarded.close();
  await site.fetch();
  await sleep(150);
  assertEquals(guarded.stats.seen, 0);
  assertEquals(guarded.sockets, []);
  assertEquals(getOptions(sockets({ remotePort })[0]!).userTimeout, null);
});

test("a guard that its own filter closes does nothing more", skip(noKernel), async () => {
  using site = await web();
  let asked = 0;
  const guarded = guard({
    match: ({ remoteAddr }) => {
      if (remoteAddr?.port !== site.port) return false;
      asked++;
      guarded.close();
      return true;
    },
    every: 10,
    keepAlive,
  });
  await site.fetch();
  await until(() => asked > 0, "asked");
  await site.fetch();
  await sleep(100);
  assertEquals([asked, guarded.stats.seen], [1, 0]);
});

test("a filter that throws does so once, and the guard goes on", skip(noKernel), async () => {
  const { code, output } = await spawnRuntime(testFile("programs/throwing_filter.ts"));
  assertEquals([code, output.trim()], [0, "thrown applied"]);
});

test(
  "a filter that always throws for one socket keeps no other waiting",
  skip(noKernel),
  async () => {
    const { code, output } = await spawnRuntime(testFile("programs/throwing_always.ts"));
    assertEquals([code, output.trim()], [0, "applied"]);
  },
);

test(
  "a dead peer is counted also when no descriptor is free at that moment",
  skip(cannotSet("deadPeerTimeout") ?? noNamespace),
  async () => {
    const setUp = [
      "ip link set lo up",
      "ip addr add 192.0.2.1/32 dev lo",
      "ip addr add 192.0.2.2/32 dev lo",
      // The rule that comes first cannot be preceded, so it is moved.
      "ip rule add pref 10 lookup local",
      "ip rule del pref 0",
      "ulimit -n 200",
      'exec "$@"',
    ];
    const through = [...unshare, "sh", "-c", setUp.join(" && "), "sh"];
    const program = testFile("programs/guard_full.ts");
    const { output } = await spawnRuntime(program, [], 2 * patience, { through });
    assertEquals(output.trim().split("\n"), ["1 0", "1 1"]);
  },
);

const whens = ["at once", "after the window was closed for a while"] as const;
const losesNothing = together(whens, async (when) => {
  const size = 1_500_000;
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.resume().once("data", async () => {
      socket.write(new Uint8Array(size));
      // By then the guard has the kernel probe often.
      if (when !== "at once") await sleep(3_000);
      // It is destroyed when the kernel has everything and the client has finished.
      socket.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  using guarded = guard({ match: { localPort: port }, deadPeerTimeout: 1_000, every: 20 });
  using client = await connect({
    port,
    timeout: patience,
    ...onlySupported({ receiveBufferSize: 16_384 }),
  });
  // The listener and the connection.
  await until(() => guarded.stats.applied >= 2, "guarded");
  await client.write(new Uint8Array(1));
  await client.closeWrite();
  await sleep(6_500);
  const into = new Uint8Array(65_536);
  let got = 0;
  for (let count; (count = await client.read(into)) !== null;) got += count;
  assertEquals(got, size);
  server.close();
});

for (const when of whens) {
  test(
    `a server that closes ${when} loses nothing for a client that reads late`,
    skip(cannotSet("deadPeerTimeout")),
    () => losesNothing(when),
  );
}

test("a guard does not keep the process alive", skip(noKernel), async () => {
  const { code, output, ms } = await spawnRuntime(testFile("programs/guarded.ts"));
  assertEquals([code, output.trim()], [0, "guarded"]);
  assert(ms < patience, `${ms} ms`);
});

test("what cannot be guarded is refused at once", skip(noKernel), () => {
  const rows: [options: unknown, Class: typeof TypeError | typeof RangeError, message: string][] = [
    [{}, TypeError, "no socket option"],
    [{ every: 100 }, TypeError, "no socket option"],
    [{ keepAlive: true, every: 9 }, RangeError, "'every'"],
    [{ keepAlive: true, every: Infinity }, RangeError, "'every'"],
    [{ keepAlive: true, every: "100" }, TypeError, "'every'"],
    [{ keepAlive: true, match: { port: 1 } }, TypeError, "'port'"],
    [{ keepAlive: true, matches: {} }, TypeError, "'matches'"],
    [{ keepAlive: { idle: -1 } }, RangeError, "'keepAlive.idle'"],
    [{ keepAlive: true, deadPeerTimeout: 5_000 }, TypeError, "'deadPeerTimeout'"],
    [{ deadPeerTimeout: 999 }, RangeError, "'deadPeerTimeout'"],
    [undefined, TypeError, "'options'"],
  ];
  for (const [options, Class, message] of rows) {
    assertThrows(() => guard(options as GuardOptions), Class, message);
  }
  // As any time, it may be longer than the runtimes' timers can wait.
  guard({ keepAlive: true, match: { remotePort: 1 }, every: 2 ** 31 }).close();
});
