/** `evict()`: ends connections that any library opened, and never a listener. */

import type { ServerResponse } from "node:http";
import { test } from "node:test";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { evict, type EvictCriteria, SocketError, sockets } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { webServer } from "../support/web.ts";
import { noTables, pair, patience, spawnRuntime, testFile, until, within } from "./support.ts";
import { noKernel } from "./support_listen.ts";
import { noNamespace, unshare } from "./support_namespace.ts";

/** A server that counts its connections, and answers `/slow` only when the test wants it to. */
async function web() {
  const waiting: ServerResponse[] = [];
  let connections = 0;
  const base = await webServer((request, response) => {
    if (request.url === "/slow") waiting.push(response);
    else response.end("hello");
  });
  const { server, port } = base;
  server.on("connection", () => connections++);
  return {
    port,
    waiting,
    connections: () => connections,
    fetch: async (path: string, init?: RequestInit) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
      return await response.text();
    },
    [Symbol.dispose]: () => base[Symbol.dispose](),
  };
}

test("a pool opens a new connection after its idle one was ended", skip(noKernel), async () => {
  using site = await web();
  const remotePort = site.port;
  assertEquals(await within(patience, site.fetch("/")), "hello");
  const before = site.connections();
  const ended = evict({ remotePort });
  assertEquals(ended.length, before);
  assertEquals(ended.map((entry) => entry.remoteAddr?.port), ended.map(() => remotePort));
  // The runtime notices it in its next turn.
  await until(() => sockets({ remotePort }).length === 0, "the pool has closed them");
  assertEquals(await within(patience, site.fetch("/")), "hello");
  assert(site.connections() > before, `${site.connections()} connections`);
});

test(
  "a request that is under way fails or is repeated, and never hangs",
  skip(noKernel),
  async () => {
    for (const method of ["GET", "POST"]) {
      using site = await web();
      await within(patience, site.fetch("/"));
      const request = site.fetch("/slow", { method, body: method === "POST" ? "x" : undefined })
        .catch((error: Error) => error);
      await until(() => site.waiting.length === 1, "the request has come");
      assert(evict({ remotePort: site.port }).length > 0);
      let settled = false;
      request.then(() => settled = true);
      await until(() => settled || site.waiting.length > 1, "it has failed or been repeated");
      for (const response of site.waiting) response.end("late");
      const result = await within(patience, request);
      if (typeof result !== "string") assertInstanceOf(result, Error);
      else assertEquals(result, "late");
    }
  },
);

test("our own connections can be ended, listeners never", skip(noKernel), async () => {
  using ends = await pair();
  const { port } = ends.listener.addr;
  const pending = ends.client.read(new Uint8Array(1)).catch((error: unknown) => error);
  // Both ends are in this process.
  const ended = evict(({ localAddr, remoteAddr }) =>
    localAddr.port === port || remoteAddr?.port === port
  );
  assertEquals(ended.map(({ kind }) => kind), ["connection", "connection"]);
  const error = await within(patience, pending);
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, "ECONNRESET");
  assertEquals(sockets({ localPort: port, kind: "listener" }).length, 1);
});

test("after a write has met the reset, reads meet it too", skip(noKernel), async () => {
  using ends = await pair();
  const { client, server } = ends;
  evict({ remotePort: client.localAddr.port });
  for (const call of ["write", "read", "read", "write"] as const) {
    const error = await assertRejects(() => within(patience, server[call](new Uint8Array(9))));
    assertEquals([call, (error as SocketError).code], [call, "ECONNRESET"]);
  }
  assertEquals((await within(patience, server.closed) as SocketError).code, "ECONNRESET");
});

test("only what is unreachable is ended", skip(noKernel ?? noTables), async () => {
  using ends = await pair();
  const { port } = ends.listener.addr;
  assertEquals(evict({ unreachable: true, remotePort: port, kind: "connection" }), []);
  assertEquals(evict({ unreachable: true }), []);
  assertEquals(evict({ kind: "connection", unreachable: false, remotePort: port }).length, 1);
});

test(
  "an address of which all ports are taken is not unreachable, one that was removed is",
  skip(noKernel ?? noNamespace),
  async () => {
    const setUp = "ip link set lo up && ip addr add 192.0.2.1/32 dev lo && " +
      "echo 40000 40003 > /proc/sys/net/ipv4/ip_local_port_range";
    const through = [...unshare, "sh", "-c", `${setUp} && exec "$@"`, "sh"];
    const program = testFile("programs/unreachable.ts");
    const { output } = await spawnRuntime(program, [], 2 * patience, { through });
    assertEquals(output.trim().split("\n"), ["none", "192.0.2.1"]);
  },
);

test(
  "a filter function that returns a promise is refused: each is true",
  skip(noKernel),
  async () => {
    using ends = await pair();
    // One that rejects must not end the process either.
    for (
      const never of [async () => await false, () => Promise.reject(new Error("no"))] as never[]
    ) {
      for (const call of [() => evict(never), () => sockets(never)]) {
        assertThrows(call, TypeError, "must not return a promise");
      }
    }
    await ends.client.write(new Uint8Array(1));
    assertEquals(await ends.server.read(new Uint8Array(9)), 1);
  },
);

test("a filter of evict that is missing or wrong is refused", skip(noKernel), () => {
  const rows: [filter: unknown, message: string][] = [
    [undefined, "'options'"],
    [null, "'options'"],
    [{ kind: "listener" }, "'kind' must be \"connection\""],
    [{ unreachable: 1 }, "'unreachable'"],
    [{ port: 1 }, "'port'"],
    [{ remotePort: undefined }, "'remotePort' must have a value, or be left out"],
  ];
  for (const [filter, message] of rows) {
    assertThrows(() => evict(filter as EvictCriteria), TypeError, message);
  }
});
