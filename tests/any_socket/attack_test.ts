/**
 * Situations in which a search for a socket's descriptor could find a wrong one. Either the right socket
 * is changed, or none.
 */

import { spawnSync } from "node:child_process";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import process from "node:process";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { assert, assertEquals, assertInstanceOf, assertThrows } from "@std/assert";
import { getOptions, getsockopt, setOptions, setsockopt, SocketError } from "@holdfast/tcp";
import { cannotSet, patience, sleep, spawnRuntime, testFile, within } from "../contract/support.ts";
import { descriptorOfPorts, noKernel, notLinux } from "../contract/support_listen.ts";
import { kinds, type NativeSocket } from "../contract/support_native.ts";
import { ca, certificate, privateKey } from "../support/certificate.ts";
import { randomFrom } from "../support/random.ts";
import { skip } from "../support/skip.ts";
import { descriptorsOf } from "./support_descriptors.ts";

/** A socket, and what it should have. */
interface Model {
  one: NativeSocket;
  fd: number;
  value: number;
}

/** Reads the socket behind a descriptor, which was found without the library. */
const hopLimitOf = (fd: number) => getOptions({ fd }).hopLimit;

async function listening(options: object = {}): Promise<net.Server> {
  const server = net.createServer((socket) => socket.on("error", () => {}));
  server.listen({ port: 0, host: "127.0.0.1", ...options });
  await once(server, "listening");
  return server;
}

const portOf = (server: net.Server) => (server.address() as AddressInfo).port;

async function dialled(options: net.NetConnectOpts): Promise<net.Socket> {
  const socket = net.connect(options);
  await once(socket, "connect");
  return socket.on("error", () => {});
}

const noReusePort = cannotSet("reusePort");

test(
  "two listeners at one address: the right one, or an error",
  skip(notLinux ?? noReusePort),
  async () => {
    const first = await listening({ reusePort: true });
    const port = portOf(first);
    // The descriptor was found when no other socket had the addresses.
    setOptions(first, { hopLimit: 90 });
    const second = await listening({ port, reusePort: true });
    const third = await listening({ port, reusePort: true });
    try {
      assertEquals(descriptorsOf(port, 0).length, 3);
      const before = descriptorsOf(port, 0).map(hopLimitOf).sort();
      assertEquals(before, [64, 64, 90]);
      setOptions(first, { hopLimit: 91 });
      const expected = [91];
      for (const [i, server] of [second, third].entries()) {
        try {
          setOptions(server, { hopLimit: 10 + i });
          expected.push(10 + i);
        } catch (error) {
          assertInstanceOf(error, TypeError);
          assert(error.message.includes("several listeners"), error.message);
          expected.push(64);
        }
      }
      assertEquals(descriptorsOf(port, 0).map(hopLimitOf).sort(), expected.toSorted());
      // Each of the others can be found again once no other socket has its addresses.
      first.close();
      second.close();
      await Promise.all([once(first, "close"), once(second, "close")]);
      for (const server of [first, second]) {
        const error = assertThrows(() => setOptions(server, { hopLimit: 12 }), SocketError);
        assertEquals((error as SocketError).code, "EBADF");
      }
      await sleep(20);
      assertEquals(descriptorsOf(port, 0).length, 1);
      setOptions(third, { hopLimit: 92 });
      assertEquals(descriptorsOf(port, 0).map(hopLimitOf), [92]);
    } finally {
      third.close();
    }
  },
);

test("sockets with the same local port", skip(notLinux), async () => {
  const one = await listening();
  const other = await listening({ host: "127.0.0.2", port: portOf(one) });
  const port = portOf(one);
  const [fixed] = await Promise.all([listening({ host: "127.0.0.9" })]);
  const localPort = portOf(fixed!);
  fixed!.close();
  const sockets = [];
  for (const [localAddress, host] of [["127.0.0.3", "127.0.0.1"], ["127.0.0.4", "127.0.0.2"]]) {
    sockets.push(await dialled({ port, host: host!, localAddress: localAddress!, localPort }));
  }
  try {
    assertEquals(sockets.map((socket) => socket.localPort), [localPort, localPort]);
    sockets.forEach((socket, i) => setOptions(socket, { hopLimit: 20 + i }));
    setOptions(one, { hopLimit: 30 });
    setOptions(other, { hopLimit: 31 });
    assertEquals(sockets.map((socket) => getOptions(socket).hopLimit), [20, 21]);
    assertEquals(descriptorsOf(localPort, port).map(hopLimitOf).sort(), [20, 21]);
    assertEquals([getOptions(one).hopLimit, getOptions(other).hopLimit], [30, 31]);
    assertEquals(new Set(descriptorsOf(port, 0).map(hopLimitOf)), new Set([30, 31]));
  } finally {
    for (const socket of sockets) socket.destroy();
    one.close();
    other.close();
  }
});

test("a listener on any address beside one on a single address", skip(notLinux), async () => {
  const any = await listening({ host: "0.0.0.0", port: 0 }).catch(() => undefined);
  assert(any !== undefined);
  const socket = await dialled({ port: portOf(any), host: "127.0.0.1" });
  try {
    setOptions(any, { hopLimit: 40 });
    setOptions(socket, { hopLimit: 41 });
    assertEquals(descriptorsOf(portOf(any), 0).map(hopLimitOf), [40]);
    assertEquals(getOptions(socket).hopLimit, 41);
  } finally {
    socket.destroy();
    any.close();
  }
});

test("sockets of every kind come and go at random", skip(notLinux), async () => {
  const seed = Number(process.env["HOLDFAST_SEED"] ?? Date.now() % 1_000_000);
  console.log(`HOLDFAST_SEED=${seed}`);
  const next = randomFrom(seed);
  const pick = <T>(items: T[]) => items[Math.floor(next() * items.length)]!;
  const open: { all: Model[]; since: number; close(): void }[] = [];
  const gone: { one: NativeSocket; since: number }[] = [];
  for (let step = 0; step < 250; step++) {
    // Bun.serve closes a connection after ten seconds without a request.
    const old = open.findIndex(({ since }) => performance.now() - since > 5_000);
    const action = old < 0 ? next() : 0.2;
    if (open.length < 3 || (action < 0.15 && open.length < 20)) {
      const sockets = await pick(kinds)[1]();
      const all = sockets.all.map((one) => {
        const fd = descriptorOfPorts(one.localPort, one.remotePort);
        setsockopt({ fd }, 0, 2, 100);
        return { one, fd, value: 100 };
      });
      open.push({ all, since: performance.now(), close: () => sockets[Symbol.dispose]() });
    } else if (action < 0.3) {
      const [group] = open.splice(old < 0 ? Math.floor(next() * open.length) : old, 1);
      group!.close();
      const since = performance.now();
      gone.push(...group!.all.map(({ one }) => ({ one, since })));
      await sleep(next() < 0.5 ? 0 : 40);
    } else if (action < 0.45 && gone.length > 0) {
      const { one: { socket, name }, since } = pick(gone);
      // Some kinds take a moment to close.
      if (performance.now() - since < 300) continue;
      const error = assertThrows(() => setOptions(socket, { hopLimit: 1 }));
      assertInstanceOf(error, SocketError, `${name}: ${error}`);
    } else {
      const model = pick(pick(open).all);
      model.value = 2 + Math.floor(next() * 90);
      setOptions(model.one.socket, { hopLimit: model.value });
    }
    for (const { one, fd, value } of open.flatMap(({ all }) => all)) {
      assertEquals(getsockopt({ fd }, 0, 2)[0], value, `step ${step}: ${one.name}`);
    }
  }
  for (const group of open) group.close();
});

test("sockets of a worker", skip(noKernel), async () => {
  const server = await listening();
  const workers = [1, 2].map((number) =>
    new Worker(new URL("programs/worker.ts", import.meta.url), {
      workerData: { port: portOf(server), base: 10 * number },
    })
  );
  const sockets: net.Socket[] = [];
  try {
    const done = Promise.all(workers.map(async (worker) => {
      const [answer] = await Promise.race([
        once(worker, "message"),
        once(worker, "error").then(([error]) => Promise.reject(error)),
      ]);
      return answer;
    }));
    // This runs at the same time as the workers.
    for (let i = 0; i < 30; i++) {
      const socket = await dialled({ port: portOf(server), host: "127.0.0.1" });
      setOptions(socket, { hopLimit: 50 + i });
      sockets.push(socket);
    }
    assertEquals(await within(patience, done), [
      { wrong: 0, closed: "EBADF" },
      { wrong: 0, closed: "EBADF" },
    ]);
    sockets.forEach((socket, i) => assertEquals(getOptions(socket).hopLimit, 50 + i));
    assertEquals(getOptions(server).hopLimit, 64);
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
    for (const socket of sockets) socket.destroy();
    server.close();
  }
});

const noLinks = (() => {
  const missing = ["unshare", "ip", "python3"].find((it) => spawnSync(it, ["-V"]).status !== 0);
  if (missing !== undefined) return `needs ${missing}`;
  const { status } = spawnSync("unshare", ["-n", "ip", "link", "set", "lo", "up"]);
  return status === 0 ? undefined : "needs root for a network namespace";
})();

test("the same link-local addresses on two links", skip(notLinux ?? noLinks), async () => {
  const program = testFile("../any_socket/programs/links.ts");
  const { output, code } = await spawnRuntime(program, [], 2 * patience, {
    through: ["unshare", "-n"],
  });
  assertEquals(code, 0, output);
  const { results, kernel }: { results: (number | string)[]; kernel: number[] } = JSON.parse(
    output,
  );
  for (const [i, result] of results.entries()) {
    assert(result === 20 + i || result === "TypeError", `${i}: ${result}`);
  }
  const expected = results.map((result) => result === "TypeError" ? 64 : result);
  assertEquals(kernel.toSorted(), expected.toSorted());
});

interface StartTls {
  connect(options: object): Promise<object>;
  startTls(
    conn: object,
    options: object,
  ): Promise<{ handshake(): Promise<unknown>; close(): void }>;
}

const { Deno } = globalThis as unknown as { Deno?: StartTls };
const noStartTls = Deno === undefined ? "this runtime has no startTls" : undefined;

test("a connection that became TLS", skip(noStartTls ?? notLinux), async () => {
  const { createServer } = await import("node:tls");
  const server = createServer({ key: privateKey, cert: certificate });
  server.on("secureConnection", (socket) => socket.on("error", () => {}));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const plain = await Deno!.connect({ hostname: "127.0.0.1", port: portOf(server) });
  setOptions(plain, { hopLimit: 70 });
  const secure = await Deno!.startTls(plain, { hostname: "localhost", caCerts: [ca] });
  try {
    await secure.handshake();
    // The new connection has its descriptor by now.
    const error = assertThrows(() => setOptions(plain, { hopLimit: 71 }), SocketError);
    assertEquals((error as SocketError).code, "EBADF");
    assertEquals(setOptions(secure as object, { hopLimit: 72 }), { hopLimit: 72 });
  } finally {
    secure.close();
    server.close();
  }
});

/** Deno's server for TLS, whose connections have no setter by which a descriptor could be verified. */
interface ListenTls {
  listenTls(options: { hostname: string; port: number; key: string; cert: string }): {
    readonly addr: { port: number };
    accept(): Promise<{ close(): void }>;
    close(): void;
  };
}

test(
  "a TLS connection whose peer has reset and dialled again from the same port",
  skip(noStartTls ?? notLinux),
  async () => {
    const { listenTls } = Deno as unknown as ListenTls;
    const listener = listenTls({
      hostname: "127.0.0.1",
      port: 0,
      key: privateKey,
      cert: certificate,
    });
    const { port } = listener.addr;
    const free = await listening();
    const localPort = portOf(free);
    free.close();
    const dial = async () => {
      const to = { host: "127.0.0.1", port, localPort };
      const [accepted, peer] = await Promise.all([listener.accept(), dialled(to)]);
      return { accepted, peer };
    };
    const reset = async (peer: net.Socket) => {
      peer.resetAndDestroy();
      await once(peer, "close");
    };
    const open: { close(): void }[] = [listener];
    try {
      const seen = await dial();
      open.push(seen.accepted);
      setOptions(seen.accepted as object, { hopLimit: 50 });
      await reset(seen.peer);
      const unseen = await dial();
      open.push(unseen.accepted);
      // It keeps its descriptor, but the connection has ended.
      setOptions(seen.accepted as object, { hopLimit: 51 });
      assertEquals(descriptorsOf(port, localPort).map(hopLimitOf), [64]);
      await reset(unseen.peer);
      const last = await dial();
      open.push(last.accepted);
      const error = assertThrows(
        () => setOptions(unseen.accepted as object, { hopLimit: 52 }),
        SocketError,
      );
      assertEquals((error as SocketError).code, "EBADF");
      assertEquals(descriptorsOf(port, localPort).map(hopLimitOf), [64]);
      // It is found again once no other socket can be meant.
      for (const { accepted } of [seen, unseen]) accepted.close();
      open.splice(1, 2);
      await sleep(20);
      setOptions(last.accepted as object, { hopLimit: 53 });
      assertEquals(descriptorsOf(port, localPort).map(hopLimitOf), [53]);
      await reset(last.peer);
    } finally {
      for (const one of open) one.close();
    }
  },
);
