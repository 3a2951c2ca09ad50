/** Two copies of the module in one process, as when a program has two versions or bundles one. */

import { cp, link, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { assert, assertEquals, assertFalse, assertInstanceOf, assertThrows } from "@std/assert";
import * as here from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { pair, patience, sleep, testFile } from "./support.ts";
import { errorOf } from "./support_listen.ts";

const noUnix = process.platform === "win32" ? "Windows has named pipes instead" : undefined;

/** The sources, or the installed package. */
const sources = testFile("../../mod.ts");
const installed = testFile("../../node_modules/@holdfast/tcp/esm");

/** Imports a copy of all the module's files. */
async function load(): Promise<typeof here> {
  // The copy is beside the installed package, so that it finds the optional peer dependency too.
  const beside = existsSync(sources) ? tmpdir() : testFile("../../node_modules");
  const directory = await mkdtemp(join(beside, "holdfast-copy-"));
  // Not before: it looks for koffi beside its own file when it needs that.
  try {
    await writeFile(join(directory, "package.json"), '{ "type": "module" }');
    let module = join(directory, "mod.ts");
    if (existsSync(sources)) {
      await cp(sources, module);
      await cp(testFile("../../src"), join(directory, "src"), { recursive: true });
    } else {
      module = join(directory, "esm", "mod.js");
      await mkdir(join(directory, "esm"));
      await cp(installed, join(directory, "esm"), { recursive: true });
    }
    const copy: typeof here = await import(pathToFileURL(module).href);
    // This loads koffi, which it looks for beside its own file.
    copy.capabilities();
    return copy;
  } finally {
    await rm(directory, { recursive: true });
  }
}

const there = await load();

test("copies: the other module is another one", () => {
  assert(here.TimeoutError !== there.TimeoutError);
  assert(here.connect !== there.connect);
});

test("copies: instanceof knows the other's errors, and a subclass only its own", async () => {
  using sockets = await pair();
  const { port } = sockets.listener.addr;
  using client = await there.connect({ port, timeout: { connect: 10_000, read: 20, write: 20 } });
  const late = await errorOf(client.read(new Uint8Array(1)));
  assertInstanceOf(late, here.TimeoutError);
  assertInstanceOf(late, there.TimeoutError);
  assertFalse(late instanceof here.SocketError);
  client.close();
  const closed = await errorOf(client.read(new Uint8Array(1)));
  assertInstanceOf(closed, here.SocketError);
  assertFalse(closed instanceof here.DeadPeerError);
  const dead = new there.DeadPeerError({ code: "ETIMEDOUT", operation: "read" });
  assertInstanceOf(dead, here.DeadPeerError);
  assertInstanceOf(dead, here.SocketError);
  const unsupported = { option: "a", runtime: "b", system: "c", reason: "d" };
  assertInstanceOf(
    new there.UnsupportedOptionError(unsupported),
    here.UnsupportedOptionError,
  );

  class Mine extends here.SocketError {}
  const options = { code: "EPIPE", operation: "write" } as const;
  assertInstanceOf(new Mine(options), Mine);
  assertInstanceOf(new Mine(options), there.SocketError);
  assertFalse(new here.SocketError(options) instanceof Mine);
  assertFalse(closed instanceof Mine);
  for (const other of [undefined, null, 1, "SocketError", {}, new Error()]) {
    assertFalse(other as unknown instanceof here.SocketError);
  }
});

test("copies: a Deadline of the other is taken", async () => {
  using sockets = await pair();
  const deadline = there.Deadline.after(20);
  assert(deadline instanceof here.Deadline);
  const late = await errorOf(sockets.client.read(new Uint8Array(1), { deadline }));
  assertInstanceOf(late, here.TimeoutError);
  assertEquals(late.timeout, 20);
});

test("copies: one cannot wrap what the other reads", async () => {
  using sockets = await pair();
  const { client } = sockets;
  const options = { timeout: patience };
  assertThrows(() => there.wrap(client, options), TypeError, "the runtime's own socket");
  for (const one of [here, there]) {
    for (const socket of [client, sockets.server]) {
      assertThrows(() => one.wrap(socket.native, options), TypeError, "in use");
    }
  }
  // The socket can still be used.
  await sockets.server.write(new Uint8Array(3));
  assertEquals(await client.read(new Uint8Array(9)), 3);

  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const native = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(native, "connect");
  using _wrapped = here.wrap(native, options);
  assertThrows(() => there.wrap(native, options), TypeError, "in use");
  server.close();
});

test("copies: options of the other's sockets are set and read", async () => {
  using sockets = await pair();
  sockets.client.setNoDelay(false);
  there.setOptions(sockets.client, { noDelay: true });
  if (here.capabilities().options.noDelay.get === "none") return;
  assertEquals(there.getOptions(sockets.client).noDelay, true);
});

test("copies: entries of the other are one socket for ever, and its connections are ours", async () => {
  if (here.capabilities().options.noDelay.get === "none") return;
  using sockets = await pair();
  const remotePort = sockets.listener.addr.port;
  const [entry] = there.sockets({ remotePort });
  assertEquals(here.setOptions(entry!, { hopLimit: 41 }), { hopLimit: 41 });
  using guarded = there.guard({ match: { remotePort }, userTimeout: 31_000, every: 10 });
  assertEquals(guarded.stats.applied, 0);
  assertEquals(here.getOptions(entry!).userTimeout, null);
  sockets.client.close();
  const error = await errorOf((async () => {
    for (let i = 0; i < 500; i++) {
      here.getOptions(entry!);
      await sleep(10);
    }
  })());
  assertEquals((error as here.SocketError).code, "EBADF");
});

test(
  "copies: of two who replace a dead Unix listener's file, one listens",
  skip(noUnix),
  async () => {
    const directory = await mkdtemp(join(tmpdir(), "holdfast-unix-"));
    try {
      for (let round = 0; round < 5; round++) {
        const path = join(directory, `${round}`);
        const dead = await here.listen({ path, timeout: 1 });
        await link(path, `${path}.left`);
        dead.close();
        while (existsSync(path)) await sleep(5);
        await rename(`${path}.left`, path);
        const both = await Promise.allSettled(
          [here, there].map(({ listen }) => listen({ path, timeout: patience })),
        );
        const won = both.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
        const codes = both.flatMap((one) => one.status === "rejected" ? [one.reason.code] : []);
        assertEquals([won.length, ...codes], [1, "EADDRINUSE"]);
        using listener = won[0]!;
        using _client = await here.connect({ path, timeout: patience });
        using _server = await listener.accept();
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  },
);
