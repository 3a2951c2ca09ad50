import process from "node:process";
import { test } from "node:test";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import {
  connect,
  getsockopt,
  listen,
  SocketError,
  type TcpConnection,
  tcpInfo,
  TimeoutError,
  UnsupportedOptionError,
} from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import {
  between,
  cannotSet,
  firstDifference,
  noTables,
  openDescriptors,
  overTls,
  pair,
  patience,
  portTo,
  readExactly,
  secure,
  sleep,
  small,
  smallPair,
  socketsOf,
  spySignal,
  streamBytes,
  tooMuchForSmall,
  until,
  within,
} from "./support.ts";
import { errorOf } from "./support_listen.ts";

const noReset = cannotSet("reset");
const noReusePort = cannotSet("reusePort");

const zeros = new Uint8Array(16 * 2 ** 20);

function assertSocketError(error: unknown, code: string, operation: string, port: number): void {
  assertInstanceOf(error, SocketError);
  assertEquals([error.code, error.operation, error.address?.port], [code, operation, port]);
}

test("close: rejects everything that waits with ECANCELED", async () => {
  using sockets = await pair();
  const { client } = sockets;
  const { port } = client.remoteAddr;
  const controller = new AbortController();
  const spy = spySignal(controller.signal);
  const into = new Uint8Array(8).fill(0xee);
  const reads = [
    errorOf(client.read(into)),
    errorOf(client.read(into, { timeout: 50, signal: controller.signal })),
  ];
  const writes = [
    errorOf(client.write(zeros)),
    errorOf(client.write(zeros, { timeout: 50, signal: controller.signal })),
    errorOf(client.closeWrite()),
  ];
  client.close();
  for (const error of await Promise.all(reads)) assertSocketError(error, "ECANCELED", "read", port);
  for (const error of await Promise.all(writes)) {
    assertSocketError(error, "ECANCELED", "write", port);
  }
  assertEquals(spy.listeners, 0);
  await sockets.server.write(new Uint8Array(8)).catch(() => {});
  await sleep(50);
  assert(into.every((byte) => byte === 0xee));
});

test("close: calls after it reject with EBADF", async () => {
  using sockets = await pair();
  const { client } = sockets;
  const { remoteAddr, localAddr } = client;
  client.close();
  const { port } = remoteAddr;
  assertSocketError(await errorOf(client.read(new Uint8Array(1))), "EBADF", "read", port);
  assertSocketError(await errorOf(client.write(new Uint8Array(1))), "EBADF", "write", port);
  assertSocketError(await errorOf(client.closeWrite()), "EBADF", "write", port);
  const { listener } = sockets;
  listener.close();
  // Options say the same, also where the kernel cannot be asked, since the number may belong to another
  // socket by now.
  for (
    const call of [
      () => client.setNoDelay(true),
      () => client.setKeepAlive({ idle: 1_000, interval: 1_000, count: 1 }),
      ...[client, listener].flatMap((socket) => [
        () => socket.getOptions(),
        () => socket.setOptions({ userTimeout: 1_000 }),
        () => tcpInfo(socket),
        () => getsockopt(socket, 6, 1),
      ]),
    ]
  ) {
    assertEquals(assertThrows(call, SocketError).code, "EBADF");
  }
  assertEquals([client.remoteAddr, client.localAddr], [remoteAddr, localAddr]);
  client.ref();
  client.unref();
});

test("close: twice is once, by any name", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  client.close();
  client.close();
  client[Symbol.dispose]();
  await client[Symbol.asyncDispose]();
  assertEquals(await server.read(new Uint8Array(1)), null);
  await server[Symbol.asyncDispose]();
  server.close();
  assertSocketError(await errorOf(server.read(zeros)), "EBADF", "read", server.remoteAddr.port);
});

test("close: 'using' and 'await using' close", async () => {
  using sockets = await pair();
  const { hostname } = sockets.listener.addr;
  const port = await portTo(sockets.listener);
  for (const kind of ["sync", "async"]) {
    const accepted = sockets.listener.accept();
    if (kind === "sync") {
      using socket = await connect({ hostname, port, timeout: patience, ...secure.connect });
      await socket.write(new Uint8Array(3));
    } else {
      await using socket = await connect({ hostname, port, timeout: patience, ...secure.connect });
      await socket.write(new Uint8Array(3));
    }
    const server = await accepted;
    await readExactly(server, 3);
    assertEquals(await server.read(new Uint8Array(1)), null);
    server.close();
  }
});

test("close: what was written before still arrives", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const size = 300_000;
  const data = streamBytes(0, size).slice();
  await client.write(data, { timeout: null });
  client.close();
  data.fill(0xee);
  await sleep(50);
  const got = await readExactly(server, size);
  assertEquals(firstDifference(got, 0), -1);
  assertEquals(await server.read(new Uint8Array(1)), null);
});

test("close: leaves no descriptor", skip(noTables), async () => {
  const before = openDescriptors();
  for (let i = 0; i < 20; i++) {
    using sockets = await pair();
    const { client, server } = sockets;
    // Each connection is in another state.
    const pending = [client.read(new Uint8Array(9)).catch(() => {})];
    if (i % 2) pending.push(client.write(zeros).then(() => {}, () => {}));
    if (i % 3 === 0) await server.closeWrite();
    if (i % 5 === 0) await sleep(5);
    sockets[Symbol.dispose]();
    await Promise.all(pending);
  }
  await until(() => openDescriptors() <= before, "every descriptor is closed", 5_000);
});

test("close: of a listener rejects a pending accept, and later ones", async () => {
  const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience });
  const { hostname, port } = listener.addr;
  const pending = [errorOf(listener.accept()), errorOf(listener.accept({ timeout: 50 }))];
  listener.close();
  for (const error of await Promise.all(pending)) {
    assertSocketError(error, "ECANCELED", "accept", port);
  }
  assertSocketError(await errorOf(listener.accept()), "EBADF", "accept", port);
  listener.close();
  listener[Symbol.dispose]();
  await listener[Symbol.asyncDispose]();
  assertEquals(listener.addr.port, port);
  // A pending accept may keep the socket for another turn of the event loop.
  await sleep(20);
  assertSocketError(
    await errorOf(connect({ hostname, port, timeout: patience, ...secure.connect })),
    "ECONNREFUSED",
    "connect",
    port,
  );
});

test("close: of a listener frees its port at once, also while an accept waits", async () => {
  let listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: null });
  const { hostname, port } = listener.addr;
  for (let i = 0; i < 5; i++) {
    const pending = errorOf(listener.accept());
    if (i % 2 === 0) await sleep(5);
    listener.close();
    listener = await listen({ hostname, port, timeout: null });
    await pending;
  }
  listener.close();
});

test("close: of a listener leaves accepted connections alone", async () => {
  using sockets = await pair();
  const { client, server, listener } = sockets;
  listener.close();
  await client.write(Uint8Array.of(1, 2));
  assertEquals(await readExactly(server, 2), Uint8Array.of(1, 2));
});

test("close: of a listener ends connections nobody accepted", skip(noTables), async () => {
  const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience });
  const { hostname, port } = listener.addr;
  const clients = await Promise.all(
    Array.from(
      { length: 5 },
      () => connect({ hostname, port, timeout: patience }),
    ),
  );
  listener.close();
  for (const client of clients) {
    // The peer sees FIN if the runtime had the connection, and RST if the kernel did.
    const result = await within(
      patience,
      client.read(new Uint8Array(1)).catch((error: unknown) => error),
    );
    if (result !== null) assertSocketError(result, "ECONNRESET", "read", port);
    client.close();
  }
  await until(() => socketsOf(port, "ESTABLISHED").length === 0, "nothing is left", 5_000);
});

test("close: inside the callback of the call that just ended", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const closed = client.read(new Uint8Array(1)).then(() => client.close());
  const queued = errorOf(client.read(new Uint8Array(1)));
  await server.write(new Uint8Array(1));
  await closed;
  assertSocketError(await queued, "ECANCELED", "read", client.remoteAddr.port);
});

test("close: inside the callback of the call that just timed out", async () => {
  using sockets = await pair();
  const { client } = sockets;
  const queued = errorOf(client.read(new Uint8Array(1), { timeout: 500 }).then(() => {}));
  await client.read(new Uint8Array(1), { timeout: 5 }).catch(() => client.close());
  assertSocketError(await queued, "ECANCELED", "read", client.remoteAddr.port);
});

test("close: while closeWrite waits for its turn", async () => {
  using sockets = await smallPair();
  const { client, server } = sockets;
  const written = client.write(zeros.subarray(0, tooMuchForSmall)).catch((error) => error);
  const finished = client.closeWrite().catch((error) => error);
  await sleep(20);
  const drained = (async () => {
    try {
      while (await server.read(new Uint8Array(2 ** 20)) !== null);
    } catch { /* The end is not the point here. */ }
  })();
  // Closes just when FIN has to be sent.
  await written;
  client.close();
  const error = await within(patience, finished);
  if (error !== undefined) assertInstanceOf(error, SocketError);
  await within(patience, drained);
});

for (const call of ["close", "reset"] as const) {
  test(`${call}: right after closeWrite, on a connection that has just been accepted`, {
    ...skip(call === "reset" ? noReset : undefined),
  }, async () => {
    using sockets = await pair();
    const { hostname } = sockets.listener.addr;
    const port = await portTo(sockets.listener);
    const options = { hostname, port, timeout: patience, ...secure.connect };
    const connecting = connect(options).catch(() => undefined);
    using accepted = await sockets.listener.accept();
    const finished = accepted.closeWrite();
    accepted[call]();
    await within(patience, finished);
    using peer = await connecting;
    if (call === "close") assertEquals(await peer!.read(new Uint8Array(1)), null);
  });
}

test("reset: the peer reads ECONNRESET, every time", skip(noReset), async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const pending = errorOf(server.read(new Uint8Array(1)));
  client.reset();
  client.reset();
  const { port } = server.remoteAddr;
  assertSocketError(await pending, "ECONNRESET", "read", port);
  for (let i = 0; i < 3; i++) {
    assertSocketError(await errorOf(server.read(new Uint8Array(1))), "ECONNRESET", "read", port);
  }
  const error = await errorOf(server.write(new Uint8Array(1)));
  assertInstanceOf(error, SocketError);
  assert(["ECONNRESET", "EPIPE"].includes(error.code), error.code);
  assertSocketError(
    await errorOf(client.read(new Uint8Array(1))),
    "EBADF",
    "read",
    client.remoteAddr.port,
  );
});

for (const end of ["client", "server"] as const) {
  test(`closeWrite: as soon as the first bytes have come, the rest still comes: the ${end}'s`, async () => {
    using sockets = await pair();
    const ours = sockets[end];
    const peer = sockets[end === "client" ? "server" : "client"];
    const size = 200_000;
    const into = new Uint8Array(65_536);
    const received = (async () => {
      let total = await ours.read(into) ?? 0;
      const finished = ours.closeWrite();
      for (let n: number | null; (n = await ours.read(into)) !== null;) total += n;
      await finished;
      return total;
    })();
    // In one write, so that TLS has several records of it at a time.
    await peer.write(new Uint8Array(size));
    await peer.closeWrite();
    assertEquals(await within(patience, received), size);
  });
}

for (const end of ["client", "server"] as const) {
  test(`closeWrite: of a peer that has sent nothing leaves a write that waits alone: the ${end}'s`, async () => {
    // Such a listener's connections are made by system calls, as are those with buffers of their size.
    const bind = cannotSet("reuseAddress") === undefined ? { reuseAddress: false } : {};
    using sockets = await pair({ listen: { ...small, ...bind }, connect: small });
    const ours = sockets[end];
    const peer = sockets[end === "client" ? "server" : "client"];
    const size = tooMuchForSmall;
    const written = ours.write(new Uint8Array(size));
    const first = await Promise.race([written, sleep(100)]);
    assertEquals(first, undefined, "the write has to wait");
    await peer.closeWrite();
    assertEquals(await ours.read(new Uint8Array(1)), null);
    const into = new Uint8Array(65_536);
    let total = 0;
    const received = (async () => {
      for (let n: number | null; (n = await peer.read(into)) !== null;) total += n;
    })();
    assertEquals(await within(patience, written), size);
    await ours.closeWrite();
    await within(patience, received);
    assertEquals(total, size);
  });
}

test(
  "reset: whoever finishes just then reads ECONNRESET too, and no end",
  skip(noReset),
  async () => {
    for (let i = 0; i < 10; i++) {
      using sockets = await pair();
      const { client, server } = sockets;
      server.reset();
      if (i > 0) await sleep(i);
      const { port } = client.remoteAddr;
      const finished = client.closeWrite().then(() => undefined, (error) => error);
      const read = await errorOf(client.read(new Uint8Array(1)));
      assertSocketError(read, "ECONNRESET", "read", port);
      // Over TLS it may say that FIN was sent before.
      if (i > 0 || overTls) continue;
      assertSocketError(await finished, "ECONNRESET", "write", port);
      assertSocketError(
        await errorOf(client.write(new Uint8Array(1))),
        "ECONNRESET",
        "write",
        port,
      );
    }
  },
);

/** There only the runtime can be asked, since Node.js shows no descriptor. */
const hidden = process.platform === "win32" ? "Wine has an end for such a reset" : undefined;
/** Elsewhere a write is EPIPE when the peer had finished before it reset. */
const alike = process.platform === "win32" ? "Wine has ECONNRESET for every reset" : undefined;

test(
  "reset: after the peer's FIN, also if a write meets it first",
  skip(noReset ?? between ?? alike),
  async () => {
    using sockets = await pair();
    const { client, server } = sockets;
    await server.closeWrite();
    server.reset();
    const finished = client.closeWrite().catch(() => {});
    assertEquals(await client.read(new Uint8Array(1)), null);
    await finished;
  },
);

test(
  "reset: after both data and the reader's FIN, no clean end",
  skip(noReset ?? hidden),
  async () => {
    for (let i = 0; i < 30; i++) {
      using sockets = await pair();
      const { client, server } = sockets;
      await client.closeWrite();
      // The data and the reset come to the reader together, or the data shortly before.
      await server.write(new Uint8Array(1 + i * 1_000));
      if (i % 3 === 0) await sleep(1);
      server.reset();
      const error = await errorOf((async () => {
        while (await client.read(new Uint8Array(65_536)) !== null);
      })());
      assertSocketError(error, "ECONNRESET", "read", client.remoteAddr.port);
    }
  },
);

test("reset: of a connection that is over closes it", skip(noReset), async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await Promise.all([client.closeWrite(), server.closeWrite()]);
  for (const socket of [client, server]) {
    assertEquals(await socket.read(new Uint8Array(1)), null);
  }
  using others = await pair();
  others.server.reset();
  await sleep(50);
  for (const socket of [client, server, others.client]) {
    socket.reset();
    const error = await errorOf(socket.read(new Uint8Array(1)));
    assertSocketError(error, "EBADF", "read", socket.remoteAddr.port);
  }
});

/** Closes the runtime's own socket, behind the library's back. */
function closeNative(native: object): void {
  const { terminate, destroy, stop, close } = native as Record<string, (() => void) | undefined>;
  (terminate ?? destroy ?? stop ?? close)!.call(native);
}

test("close: after somebody else has closed the runtime's socket, nothing hangs", async () => {
  using sockets = await pair();
  const { client, server, listener } = sockets;
  const pending = errorOf(client.read(new Uint8Array(1)));
  for (const { native } of [client, server, listener]) closeNative(native);
  assertInstanceOf(await errorOf(server.closeWrite()), SocketError);
  assertInstanceOf(await errorOf(client.write(zeros)), SocketError);
  // The read must not resolve to null, as the peer has not finished.
  assertInstanceOf(await pending, SocketError);
  for (const socket of [client, server, listener]) socket.close();
});

for (const end of ["client", "server"] as const) {
  for (const waits of ["a read", "a write", "a read and a write", "nothing"]) {
    test(`close: by somebody else while ${waits} of the ${end} waits is ECANCELED`, async () => {
      using sockets = await pair();
      const socket = sockets[end];
      const { port } = socket.remoteAddr;
      const reads = waits.includes("read") ? [errorOf(socket.read(new Uint8Array(1)))] : [];
      const writes = waits.includes("write")
        ? [errorOf(socket.write(zeros)), errorOf(socket.closeWrite())]
        : [];
      await sleep(20);
      closeNative(socket.native);
      await sleep(20);
      reads.push(errorOf(socket.read(new Uint8Array(1))));
      for (const error of await Promise.all(reads)) {
        assertSocketError(error, "ECANCELED", "read", port);
      }
      if (!waits.includes("write")) writes.push(errorOf(socket.write(new Uint8Array(1))));
      for (const error of await Promise.all(writes)) {
        assertSocketError(error, "ECANCELED", "write", port);
      }
    });
  }
}

// A runtime may use two kinds of listeners.
for (const reusePort of [false, true]) {
  const none = reusePort ? noReusePort : undefined;
  test(
    `close: of a listener by somebody else cancels accept, reusePort ${reusePort}`,
    skip(none),
    async () => {
      using sockets = await pair({ listen: { reusePort } });
      const { client, server, listener } = sockets;
      const { port } = listener.addr;
      const { native } = listener;
      // Bun's listener has no event for it.
      const tells = !("stop" in native);
      const accept = () => errorOf(listener.accept({ timeout: tells ? patience : 100 }));
      const pending = [accept(), accept(), accept()];
      closeNative(native);
      client.close();
      server.close();
      for (const error of await Promise.all(pending)) {
        if (tells) assertSocketError(error, "ECANCELED", "accept", port);
        else assertInstanceOf(error, TimeoutError);
      }
      for (let i = 0; i < 3; i++) {
        assertSocketError(await errorOf(listener.accept()), "ECANCELED", "accept", port);
      }
      listener.close();
      assertSocketError(await errorOf(listener.accept()), "EBADF", "accept", port);
    },
  );
}

test("close: of a listener by somebody else, told to the next accept while clients stay", async () => {
  using sockets = await pair();
  const { listener } = sockets;
  closeNative(listener.native);
  const error = await errorOf(listener.accept());
  assertSocketError(error, "ECANCELED", "accept", listener.addr.port);
});

test("close: of a listener by somebody else, with thousands of accepts waiting", async () => {
  using sockets = await pair();
  const { client, server, listener } = sockets;
  const pending = Array.from({ length: 5_000 }, () => errorOf(listener.accept()));
  closeNative(listener.native);
  client.close();
  server.close();
  // Where nothing reported it, this call does.
  pending.push(errorOf(listener.accept()));
  const all = await Promise.all(pending);
  assert(all.every((error) => (error as SocketError).code === "ECANCELED"));
});

test("reset: found by the next read, with nobody waiting", skip(noReset), async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  client.reset();
  await sleep(100);
  const { port } = server.remoteAddr;
  for (let i = 0; i < 3; i++) {
    assertSocketError(await errorOf(server.read(new Uint8Array(1))), "ECONNRESET", "read", port);
  }
});

test("reset: after a read that fails no descriptor is left, also without close", {
  ...skip(noReset ?? noTables),
}, async () => {
  for (const waits of [true, false]) {
    for (const write of [false, true]) {
      const sockets = await pair();
      const { client, server, listener } = sockets;
      const before = openDescriptors();
      const writing = write ? errorOf(client.write(zeros)) : undefined;
      const read = () => errorOf(client.read(new Uint8Array(1)));
      const waiting = waits ? read() : undefined;
      if (waits || write) await sleep(20);
      server.reset();
      await within(patience, writing ?? Promise.resolve());
      assertInstanceOf(await within(patience, waiting ?? read()), SocketError);
      // Both ends are in this process.
      await until(() => openDescriptors() <= before - 2, "the descriptor is closed", patience);
      const again = await read();
      assert(again instanceof SocketError && again.code === "ECONNRESET", String(again));
      client.close();
      listener.close();
    }
  }
});

test("reset: found by a write first, the next read tells it too", skip(noReset), async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  client.reset();
  await sleep(100);
  const error = await errorOf(server.write(new Uint8Array(1)));
  assertInstanceOf(error, SocketError);
  assert(["ECONNRESET", "EPIPE"].includes(error.code), error.code);
  for (let i = 0; i < 2; i++) {
    assertSocketError(
      await errorOf(server.read(new Uint8Array(1))),
      "ECONNRESET",
      "read",
      server.remoteAddr.port,
    );
  }
});

test(
  "reset: rejects what waits here, and leaves no TIME_WAIT",
  skip(noReset ?? noTables),
  async () => {
    using sockets = await pair();
    const { client } = sockets;
    // Compares both ports, since other connections may have had one of them.
    const connections = () =>
      socketsOf(client.remoteAddr.port).filter(({ localPort, remotePort }) =>
        [localPort, remotePort].includes(client.localAddr.port)
      );
    // A row may appear twice, as the kernel's table changes while it is read.
    await until(() => connections().length === 2, "both ends are in the table");
    const read = errorOf(client.read(new Uint8Array(1)));
    const write = errorOf(client.write(zeros));
    client.reset();
    assertSocketError(await read, "ECANCELED", "read", client.remoteAddr.port);
    assertSocketError(await write, "ECANCELED", "write", client.remoteAddr.port);
    await until(() => connections().length === 0, "nothing is left of the connection", 5_000);
  },
);

test(
  "reset: where the platform cannot, the connection stays as it was",
  skip(
    noReset === undefined ? "this platform can reset" : undefined,
  ),
  async () => {
    using sockets = await pair();
    const { client, server } = sockets;
    assertThrows(() => client.reset(), UnsupportedOptionError);
    await client.write(Uint8Array.of(1));
    assertEquals(await readExactly(server, 1), Uint8Array.of(1));
  },
);

test("ref and unref: change nothing for calls of a process that goes on", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  for (const socket of [client, server]) socket.unref();
  const keepAlive = setInterval(() => {}, 1_000);
  try {
    await assertRejects(() => client.read(new Uint8Array(1), { timeout: 30 }), TimeoutError);
    await server.write(Uint8Array.of(1));
    assertEquals(await readExactly(client, 1), Uint8Array.of(1));
    client.ref();
    await client.write(Uint8Array.of(1));
    assertEquals(await readExactly(server, 1), Uint8Array.of(1));
  } finally {
    clearInterval(keepAlive);
  }
});

test("close: in any order with everything else, nothing hangs", async () => {
  const settle = async (socket: TcpConnection) => {
    const calls = [
      socket.read(new Uint8Array(10)),
      socket.write(zeros.subarray(0, 2 ** 20)),
      socket.closeWrite(),
      socket.read(new Uint8Array(10), { timeout: 20 }),
      socket.write(new Uint8Array(10)),
    ];
    const ends = Math.random();
    if (ends < 0.3) socket.close();
    else setTimeout(() => socket.close(), ends * 30);
    for (const result of await within(patience, Promise.allSettled(calls))) {
      if (result.status === "rejected") {
        const known = result.reason instanceof SocketError || result.reason instanceof TimeoutError;
        assert(known, String(result.reason));
      }
    }
  };
  for (let round = 0; round < 40; round++) {
    using sockets = await pair();
    await Promise.all([settle(sockets.client), settle(sockets.server)]);
  }
});
