/** How a connection ends: what close() cuts off must not look complete, and end() loses nothing. */

import { test } from "node:test";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  capabilities,
  Deadline,
  SocketError,
  type TcpConnection,
  TimeoutError,
} from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { together } from "../support/together.ts";
import {
  between,
  cannotSet,
  noTables,
  pair,
  patience,
  readOn,
  sleep,
  smallPair,
  socketsOf,
  spySignal,
  streamBytes,
  tooMuchForSmall,
  until,
  within,
} from "./support.ts";

const noReset = cannotSet("reset");
const noWatch = cannotSet("deadPeerTimeout");
/** More bytes than the kernel takes while the peer does not read. */
const tooMuch = 16 * 2 ** 20;

/** Reads the rest of a stream that ends well. Returns how many bytes it had. */
async function rest(socket: TcpConnection): Promise<number> {
  const into = new Uint8Array(262_144);
  let size = 0;
  for (let count; (count = await within(patience, socket.read(into))) !== null;) size += count;
  return size;
}

function assertReset(error: unknown): void {
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, "ECONNRESET");
}

for (const end of ["client", "server"] as const) {
  for (const busy of [false, true]) {
    const of = `of the ${end}${busy ? ", busy" : ""}`;
    const open = async () => {
      const sockets = await pair();
      const ours = sockets[end];
      const peer = sockets[end === "client" ? "server" : "client"];
      let sent = 0;
      while (busy && sent < 400) sent += await ours.write(streamBytes(sent, 10));
      return { sockets, ours, peer, sent };
    };

    test(
      `close: after a write that timed out, all that was counted arrives, or a reset: ${of}`,
      skip(noReset),
      async () => {
        const { sockets, ours, peer, sent } = await open();
        using _ = sockets;
        await assertRejects(
          () => ours.write(streamBytes(sent, tooMuch), { timeout: 200 }),
          TimeoutError,
        );
        ours.close();
        const [size, error] = await readOn(peer);
        // A stream that looks complete has every byte that was counted.
        if (error === undefined) assertEquals(size, ours.bytesWritten);
        else assertReset(error);
      },
    );

    test(
      `close: after a part of a write, the peer sees a reset: ${of}`,
      skip(noReset),
      async () => {
        const { sockets, ours, peer, sent } = await open();
        using _ = sockets;
        const { bytesWritten = 0 } = await assertRejects(
          () => ours.write(streamBytes(sent, tooMuch), { timeout: 200 }),
          TimeoutError,
        );
        // The kernel has everything that was counted.
        const into = new Uint8Array(262_144);
        for (let size = 0; size < sent + bytesWritten;) {
          size += (await within(patience, peer.read(into)))!;
        }
        ours.close();
        assertReset((await readOn(peer))[1]);
      },
    );

    test(`close: while a write waits, the peer sees a reset: ${of}`, skip(noReset), async () => {
      const { sockets, ours, peer, sent } = await open();
      using _ = sockets;
      const written = ours.write(streamBytes(sent, tooMuch)).catch((error) => error);
      await sleep(50);
      ours.close();
      const error = await written;
      assertInstanceOf(error, SocketError);
      assertEquals(error.code, "ECANCELED");
      assertReset((await readOn(peer))[1]);
    });

    test(`close: a small write that nobody waited for arrives, and then the end: ${of}`, async () => {
      const { sockets, ours, peer, sent } = await open();
      using _ = sockets;
      ours.write(streamBytes(sent, 100)).catch(() => {});
      ours.close();
      assertEquals(await readOn(peer), [sent + 100, undefined]);
    });

    test(`close: after a write that timed out and was caught up with, a clean end: ${of}`, async () => {
      const { sockets, ours, peer, sent } = await open();
      using _ = sockets;
      const { bytesWritten = 0 } = await assertRejects(
        () => ours.write(streamBytes(sent, tooMuch), { timeout: 200 }),
        TimeoutError,
      );
      const reading = readOn(peer);
      await ours.write(streamBytes(sent + bytesWritten, 10));
      ours.close();
      assertEquals(await reading, [sent + bytesWritten + 10, undefined]);
    });
  }
}

for (const how of ["closeWrite", "end"] as const) {
  test(`close: after a part of a write and ${how}, a clean end`, async () => {
    using sockets = await pair();
    const { client, server } = sockets;
    const { bytesWritten } = await assertRejects(
      () => client.write(streamBytes(0, tooMuch), { timeout: 200 }),
      TimeoutError,
    );
    let done = false;
    const ended = client[how]().then(() => done = true);
    const into = new Uint8Array(65_536);
    let size = 0;
    // The kernel still has much that was not sent when it has taken the FIN.
    while (how === "closeWrite" ? !done : size < bytesWritten!) {
      size += (await server.read(into))!;
      await sleep(1);
    }
    if (how === "end") await server.closeWrite();
    await ended;
    client.close();
    assertEquals(size + await rest(server), bytesWritten);
  });
}

const lasts = ["close", "closeWrite", "the peer's FIN"] as const;
const reachesLateReader = together(lasts, async (last) => {
  using sockets = await pair({
    listen: { deadPeerTimeout: 2_000, sendBufferSize: 1_000_000 },
    connect: { receiveBufferSize: 16_384 },
  });
  const { client, server } = sockets;
  const size = 500_000;
  const finish = async () => {
    await client.closeWrite();
    assertEquals(await within(patience, server.read(new Uint8Array(1))), null);
  };
  if (last === "closeWrite") await finish();
  await server.write(streamBytes(0, size));
  // The window closes after that. After the latter two, Bun and Node.js close the socket by themselves.
  if (last === "close") server.close();
  else await server.closeWrite();
  if (last === "the peer's FIN") await finish();
  await sleep(4_000);
  assertEquals(await readOn(client), [size, undefined]);
});

for (const last of lasts) {
  test(
    `${last}: with deadPeerTimeout, all of it reaches a peer that reads late`,
    skip(noWatch),
    () => reachesLateReader(last),
  );
}

for (const whole of [true, false]) {
  const what = whole ? "after a write, a clean end" : "while a write waits, a reset";
  test(`close: with deadPeerTimeout, before a closed window, ${what}`, skip(noWatch), async () => {
    using sockets = await pair({ connect: { deadPeerTimeout: 20_000 } });
    const { client, server } = sockets;
    const closed = () => {
      const { unacknowledged, notSent } = client.tcpInfo();
      return unacknowledged === 0 && notSent! > 0;
    };
    let size = 0;
    if (whole) {
      // How much fits differs from run to run. The last part comes after the window has closed.
      for (let full = false; !full; size += 2 ** 18) {
        full = closed();
        await client.write(streamBytes(size, 2 ** 18));
        await sleep(10);
      }
    } else {
      client.write(streamBytes(0, tooMuch)).catch(() => {});
      await until(closed, "a closed window");
    }
    client.close();
    // On a busy machine FIN must not overtake what TLS still sends.
    const start = performance.now();
    while (performance.now() - start < 200);
    const [received, error] = await readOn(server);
    if (whole) assertEquals([received, error], [size, undefined]);
    else assertReset(error);
  });
}

test("close: writes of which nothing was sent leave a clean end", async () => {
  using sockets = await smallPair();
  const { client, server } = sockets;
  const writing = client.write(streamBytes(0, tooMuchForSmall));
  const next = [{ timeout: 50 }, { signal: AbortSignal.timeout(50) }];
  for (const options of next) {
    await assertRejects(() => client.write(new Uint8Array(1), options));
  }
  const reading = readOn(server);
  await writing;
  client.close();
  assertEquals(await reading, [tooMuchForSmall, undefined]);
});

test("close: of a loop of writes that has to let the event loop turn loses nothing", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const reading = readOn(server);
  const until = performance.now() + 100;
  let sent = 0;
  while (performance.now() < until) sent += await client.write(streamBytes(sent, 10));
  const last = client.write(streamBytes(sent, 10)).catch(() => 0);
  client.close();
  assertEquals(await reading, [sent + 10, undefined]);
  await last;
});

test("close: a short write right after another one is not lost", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const reading = readOn(server);
  await client.write(streamBytes(0, 10));
  const last = client.write(streamBytes(10, 10)).catch(() => 0);
  client.close();
  assertEquals(await reading, [20, undefined]);
  await last;
});

const { tcpInfo } = capabilities().options;
const noTcpInfo = tcpInfo.get === "none" ? `tcpInfo: ${tcpInfo.reason}` : undefined;

for (const end of ["client", "server"] as const) {
  test(`end: everything written arrives, also with input that nobody read: the ${end}'s`, async () => {
    using sockets = await pair();
    const ours = sockets[end];
    const peer = sockets[end === "client" ? "server" : "client"];
    await peer.write(new Uint8Array(100_000));
    const size = 8_000_000;
    const written = ours.write(streamBytes(0, size));
    const ended = ours.end();
    await sleep(50);
    // These bytes are discarded, like the ones before.
    await peer.write(new Uint8Array(100_000));
    assertEquals(await readOn(peer), [size, undefined]);
    await written;
    assertEquals(await Promise.race([ended, sleep(50).then(() => "waits")]), "waits");
    await peer.closeWrite();
    await within(patience, ended);
    const late = await assertRejects(() => ours.read(new Uint8Array(1)), SocketError);
    assertEquals(late.code, "EBADF");
  });

  test(
    `end: rejects when the peer resets before it has everything: the ${end}'s`,
    skip(noReset ?? between),
    async () => {
      for (const finished of [false, true]) {
        if (finished && noTcpInfo !== undefined) continue;
        using sockets = await pair();
        const ours = sockets[end];
        const peer = sockets[end === "client" ? "server" : "client"];
        if (finished) await peer.closeWrite();
        // The kernel has these bytes, and waits until the peer reads.
        const { bytesWritten } = await assertRejects(
          () => ours.write(streamBytes(0, tooMuch), { timeout: 200 }),
          TimeoutError,
        );
        assert(bytesWritten! > 0);
        const reading = peer.read(new Uint8Array(100_000));
        const ended = ours.end().then(() => undefined, (error) => error);
        await reading;
        await sleep(100);
        peer.reset();
        const error = await within(patience, ended);
        assertInstanceOf(error, SocketError);
        assert(["ECONNRESET", "EPIPE"].includes(error.code), error.code);
        const late = await assertRejects(() => ours.read(new Uint8Array(1)), SocketError);
        assertEquals(late.code, "EBADF");
      }
    },
  );
}

test(
  "end: after the peer's FIN waits for what the peer has not acknowledged",
  skip(noTcpInfo ?? between),
  async () => {
    using sockets = await pair();
    const { client, server } = sockets;
    await server.closeWrite();
    assertEquals(await client.read(new Uint8Array(1)), null);
    const size = 6_000_000;
    const written = client.write(streamBytes(0, size));
    const ended = client.end();
    const early = await Promise.race([ended, sleep(100).then(() => "waits")]);
    assertEquals(early, "waits");
    assertEquals(await readOn(server), [size, undefined]);
    await written;
    await within(patience, ended);
  },
);

test("end: nothing is left of it", skip(noTables), async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await Promise.all([client.end(), server.end()]);
  // Compares both ports, since other connections may have had one of them.
  const ports = [client.localAddr.port, client.remoteAddr.port];
  const rows = () =>
    socketsOf(ports[0]!).filter(({ localPort, remotePort }) =>
      ports.includes(localPort) && ports.includes(remotePort)
    );
  await until(() => rows().every(({ state }) => state === "TIME-WAIT"), "no connection is left");
});

test("end: a limit ends the wait; the connection is still there, and end can be called again", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const controller = new AbortController();
  const spy = spySignal(controller.signal);
  setTimeout(() => controller.abort("enough"), 50);
  assertEquals(await client.end({ signal: controller.signal }).catch((reason) => reason), "enough");
  assertEquals(spy.listeners, 0);
  client.setTimeouts({ write: 30 });
  const calls = [
    [30, () => client.end()],
    [40, () => client.end({ timeout: 40 })],
    [50, () => client.end({ timeout: 5_000, deadline: Deadline.after(50) })],
  ] as const;
  for (const [timeout, call] of calls) {
    assertEquals((await assertRejects(call, TimeoutError)).timeout, timeout);
  }
  // Nothing was read except what `end` discarded.
  const ended = client.end({ timeout: null });
  assertEquals(await server.read(new Uint8Array(1)), null);
  await server.write(new Uint8Array(5));
  server.close();
  await within(patience, ended);
});

test("end: its limits hold behind a FIN that waits under others", async () => {
  for (const waiting of ["closeWrite", "end"] as const) {
    using sockets = await smallPair();
    const { client, server } = sockets;
    client.setTimeouts({ write: null });
    const written = client.write(streamBytes(0, tooMuchForSmall));
    const first = client[waiting]();
    const controller = new AbortController();
    setTimeout(() => controller.abort("enough"), 30);
    assertEquals(
      await within(patience, client.end({ signal: controller.signal }).catch((reason) => reason)),
      "enough",
    );
    for (const limits of [{ timeout: 30 }, { deadline: Deadline.after(-1) }]) {
      await within(patience, assertRejects(() => client.end(limits), TimeoutError));
    }
    const last = client.end({ timeout: patience });
    assertEquals(await readOn(server), [tooMuchForSmall, undefined]);
    server.close();
    await within(patience, Promise.all([written, first, last]));
  }
});

test("end: one that waits behind another sends FIN when that one gives up", async () => {
  using sockets = await smallPair();
  const { client, server } = sockets;
  const written = client.write(streamBytes(0, tooMuchForSmall), { timeout: null });
  const first = assertRejects(() => client.end({ timeout: 30 }), TimeoutError);
  const second = client.end({ timeout: patience });
  await within(patience, first);
  assertEquals(await readOn(server), [tooMuchForSmall, undefined]);
  server.close();
  await within(patience, Promise.all([written, second]));
});

test("end: close during it is ECANCELED, after however few turns", async () => {
  for (let turns = 0; turns < 8; turns++) {
    using sockets = await pair();
    const ended = assertRejects(() => sockets.client.end(), SocketError);
    for (let i = 0; i < turns; i++) await undefined;
    sockets.client.close();
    assertEquals((await within(patience, ended)).code, "ECANCELED", `after ${turns} turns`);
  }
});

test("end: of what is closed is EBADF, and close during it ECANCELED", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const ended = assertRejects(() => client.end(), SocketError);
  await sleep(20);
  client.close();
  assertEquals((await within(patience, ended)).code, "ECANCELED");
  assertEquals((await assertRejects(() => client.end(), SocketError)).code, "EBADF");
  server.close();
});

test("end: close while acknowledgements are awaited is ECANCELED", {
  ...skip(noTcpInfo ?? between),
}, async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await server.closeWrite();
  // The kernel has these bytes, and waits until the peer reads.
  await client.write(streamBytes(0, 2 ** 21));
  const ended = assertRejects(() => client.end(), SocketError);
  await sleep(100);
  client.close();
  assertEquals((await within(patience, ended)).code, "ECANCELED");
});

test("closed: resolves once, to undefined, by whatever closes the connection", async () => {
  for (const how of ["close", "end", "reset", "dispose"] as const) {
    using sockets = await pair();
    const { client, server } = sockets;
    const { closed } = client;
    assertEquals(client.closed, closed);
    assertEquals(await Promise.race([closed, sleep(20).then(() => "open")]), "open");
    if (how === "end") await Promise.all([client.end(), server.end()]);
    else if (how === "dispose") client[Symbol.dispose]();
    else if (how === "close" || noReset !== undefined) client.close();
    else client.reset();
    assertEquals(await within(patience, closed), undefined);
    server.close();
    assertEquals(await within(patience, server.closed), undefined);
  }
});

test("closed: resolves to the error that ended the connection", skip(noReset), async () => {
  for (const asked of ["before", "after"]) {
    using sockets = await pair();
    const { client, server } = sockets;
    const early = asked === "before" ? client.closed : undefined;
    const reading = client.read(new Uint8Array(1)).catch((error) => error);
    server.reset();
    assertReset(await within(patience, reading));
    assertReset(await within(patience, early ?? client.closed));
    client.close();
    assertReset(await client.closed);
  }
});

async function writeUntilRefused(socket: TcpConnection): Promise<void> {
  const end = performance.now() + patience;
  for (let refused = false; !refused; await sleep(5)) {
    assert(performance.now() < end, "no write fails");
    refused = await socket.write(new Uint8Array(1)).then(() => false, () => true);
  }
}

test("closed: resolves when the peer has finished and a write fails", skip(noReset), async () => {
  for (const asked of ["before", "after"]) {
    using sockets = await pair();
    const { client, server } = sockets;
    const early = asked === "before" ? client.closed : undefined;
    await server.closeWrite();
    assertEquals(await client.read(new Uint8Array(1)), null);
    server.reset();
    await writeUntilRefused(client);
    assertInstanceOf(await within(patience, early ?? client.closed), SocketError);
  }
});

const { get, set, reason: why } = capabilities().options.linger;
const noLinger = set === "none" || get === "none" ? `linger: ${why}` : undefined;

test("close: with linger 0 it resets", skip(noLinger), async () => {
  for (const how of ["connect", "listen", "setOptions"]) {
    const linger = 0;
    using sockets = await pair({
      connect: how === "connect" ? { linger } : {},
      listen: how === "listen" ? { linger } : {},
    });
    const { client, server } = sockets;
    const [ours, peer] = how === "listen" ? [server, client] : [client, server];
    if (how === "setOptions") ours.setOptions({ linger });
    ours.close();
    assertReset((await readOn(peer))[1]);
  }
});

test("close: with linger above 0 it does not block", skip(noLinger), async () => {
  using sockets = await pair({
    connect: { linger: 10_000, sendBufferSize: 1_000_000 },
    listen: { receiveBufferSize: 4_096 },
  });
  const { client, server } = sockets;
  await client.write(new Uint8Array(200_000));
  const start = performance.now();
  client.close();
  assert(performance.now() - start < 5_000, "the event loop was blocked");
  assertEquals(await rest(server), 200_000);
});
