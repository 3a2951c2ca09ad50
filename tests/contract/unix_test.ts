/** Unix sockets: the same calls and limits, with a path as the address. */

import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  linkSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import process from "node:process";
import test from "node:test";
import {
  connect,
  listen,
  SocketError,
  startTls,
  TimeoutError,
  type UnixConnection,
  type UnixListener,
} from "@holdfast/tcp";
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { ca, certificate as cert, privateKey as key } from "../support/certificate.ts";
import { skip } from "../support/skip.ts";
import {
  firstDifference,
  patience,
  readExactly,
  sleep,
  spawnRuntime,
  startRuntime,
  streamBytes,
  testFile,
  within,
} from "./support.ts";
import { assertCode, errorOf, noKernel } from "./support_listen.ts";

const noUnix = process.platform === "win32" ? "Windows has named pipes instead" : undefined;
const noAbstract = process.platform === "linux" ? undefined : "abstract names are Linux's";

/** A directory that goes away with everything in it. */
function place(): { path: string } & Disposable {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-unix-"));
  return {
    path: join(directory, "s"),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Writes until that fails. */
async function writeOn(socket: UnixConnection): Promise<never> {
  for (;;) await socket.write(new Uint8Array(10));
}

/** The inode of the socket that is bound to `path`, according to the kernel's table. */
function inodeOf(path: string): string {
  const name = path.replace("\0", "@");
  const lines = readFileSync("/proc/net/unix", "utf8").split("\n");
  // Node 20 fills an abstract name up with zeros, which are shown like this.
  const shown = lines.map((line) => line.replace(/@+$/, ""));
  return shown.find((line) => line.endsWith(` ${name}`))!.trim().split(/\s+/)[6]!;
}

async function pairOn(path: string) {
  const listener: UnixListener = await listen({ path, timeout: patience });
  const client: UnixConnection = await connect({ path, timeout: patience });
  const server: UnixConnection = await listener.accept();
  return {
    listener,
    client,
    server,
    [Symbol.dispose]() {
      for (const one of [client, server, listener]) one.close();
    },
  };
}

test("unix: bytes both ways, half closed, to the end", skip(noUnix), async () => {
  using directory = place();
  const { path } = directory;
  using both = await pairOn(path);
  const { client, server, listener } = both;
  assertEquals(listener.addr, { transport: "unix", path });
  assertEquals(client.remoteAddr, { transport: "unix", path });
  assertEquals(server.localAddr, { transport: "unix", path });
  const size = 3_000_000;
  const writing = client.write(streamBytes(0, size)).then(() => client.closeWrite());
  const got = await readExactly(server as never, size);
  assertEquals(firstDifference(got, 0), -1);
  await writing;
  assertEquals(await server.read(new Uint8Array(1)), null);
  await server.write(new Uint8Array([7]));
  assertEquals([...await readExactly(client as never, 1)], [7]);
  server.close();
  assertEquals(await client.read(new Uint8Array(1)), null);
});

test("unix: a read that times out loses nothing", skip(noUnix), async () => {
  using directory = place();
  using both = await pairOn(directory.path);
  const { client, server } = both;
  const error = await errorOf(client.read(new Uint8Array(1), { timeout: 30 }));
  assertInstanceOf(error, TimeoutError);
  assertEquals(error.timeout, 30);
  await server.write(new Uint8Array([1, 2, 3]));
  assertEquals([...await readExactly(client as never, 3)], [1, 2, 3]);
  const late = await errorOf(client.write(new Uint8Array(20_000_000), { timeout: 50 }));
  assertInstanceOf(late, TimeoutError);
  const { bytesWritten = 0 } = late;
  assert(bytesWritten > 0 && bytesWritten < 20_000_000);
  assertEquals((await readExactly(server as never, bytesWritten)).length, bytesWritten);
});

for (const name of ["80", "0x10", " ", "1e3", "10.5"]) {
  test(`unix: the name ${JSON.stringify(name)} is a path, not a port`, skip(noUnix), async () => {
    using directory = place();
    const before = process.cwd();
    process.chdir(dirname(directory.path));
    try {
      using both = await pairOn(name);
      assertEquals(both.listener.addr, { transport: "unix", path: name });
      await both.client.write(new Uint8Array([5]));
      assertEquals([...await readExactly(both.server as never, 1)], [5]);
      both.listener.close();
      await within(patience, gone(name));
    } finally {
      process.chdir(before);
    }
  });
}

test(
  "unix: a write that finds the peer gone loses nothing of what it sent",
  skip(noUnix),
  async () => {
    for (const size of [1, 16_413]) {
      using directory = place();
      using both = await pairOn(directory.path);
      const { client, server } = both;
      const sent = streamBytes(0, size);
      await server.write(sent);
      server.close();
      await assertCode(writeOn(client), "EPIPE");
      assertEquals(await readExactly(client, size), sent);
      assertEquals(await client.read(new Uint8Array(1)), null);
    }
  },
);

test("unix: abstract names have no file", skip(noAbstract), async () => {
  const path = `\0holdfast ${process.pid} ${Math.random()}`;
  {
    using both = await pairOn(path);
    assertEquals(both.listener.addr, { transport: "unix", path });
    await both.client.write(new Uint8Array([5]));
    assertEquals([...await readExactly(both.server as never, 1)], [5]);
    await assertCode(listen({ path, timeout: 1 }), "EADDRINUSE");
  }
  const error = await assertCode(connect({ path, timeout: patience }), "ECONNREFUSED");
  assert(error.message.includes("@holdfast"), error.message);
});

test("unix: the file goes when the listener does", skip(noUnix), async () => {
  using directory = place();
  const { path } = directory;
  const listener = await listen({ path, timeout: 1 });
  assert(existsSync(path));
  listener.close();
  await within(patience, gone(path));
  await assertCode(connect({ path, timeout: patience }), "ENOENT");
});

async function gone(path: string): Promise<void> {
  while (existsSync(path)) await sleep(5);
}

test("unix: where somebody listens, nobody else can", skip(noUnix), async () => {
  using directory = place();
  const { path } = directory;
  using both = await pairOn(path);
  const error = await assertCode(listen({ path, timeout: 1 }), "EADDRINUSE");
  assertEquals(error.operation, "listen");
  assert(error.message.includes(path), error.message);
  // The live listener has lost nothing. It has only seen one connection come and go.
  using looked = await both.listener.accept();
  assertEquals(await looked.read(new Uint8Array(1)), null);
  using again = await connect({ path, timeout: patience });
  using server = await both.listener.accept();
  await again.write(new Uint8Array([9]));
  assertEquals([...await readExactly(server as never, 1)], [9]);
});

test("unix: of several who replace a dead listener's file, one listens", skip(noUnix), async () => {
  using directory = place();
  const { path } = directory;
  const dead = await listen({ path, timeout: 1 });
  linkSync(path, `${path}.left`);
  dead.close();
  await within(patience, gone(path));
  renameSync(`${path}.left`, path);
  const all = await Promise.allSettled(
    Array.from({ length: 5 }, () => listen({ path, timeout: patience })),
  );
  const won = all.flatMap((one) => one.status === "fulfilled" ? [one.value] : []);
  for (const one of all) if (one.status === "rejected") assertEquals(one.reason.code, "EADDRINUSE");
  assertEquals(won.length, 1);
  using listener = won[0]!;
  using _client = await connect({ path, timeout: patience });
  using _server = await listener.accept();
  assertEquals(readdirSync(dirname(path)), [basename(path)]);
});

test("unix: a file that is no socket is left alone", skip(noUnix), async () => {
  using directory = place();
  const { path } = directory;
  writeFileSync(path, "precious");
  await assertCode(listen({ path, timeout: 1 }), "EADDRINUSE");
  assert(existsSync(path));
});

test("unix: the file of a process that died is replaced", skip(noUnix), async () => {
  using directory = place();
  const { path } = directory;
  const child = startRuntime(testFile("programs/unix_listener.ts"), [path]);
  await within(2 * patience, new Promise((resolve) => child.stdout!.once("data", resolve)));
  await assertCode(listen({ path, timeout: 1 }), "EADDRINUSE");
  const ended = new Promise((resolve) => child.once("close", resolve));
  child.kill("SIGKILL");
  await ended;
  assert(existsSync(path));
  await assertCode(connect({ path, timeout: patience }), "ECONNREFUSED");
  using both = await pairOn(path);
  await both.client.write(new Uint8Array([3]));
  assertEquals([...await readExactly(both.server as never, 1)], [3]);
});

test("unix: TLS by startTls, in good order and cut off", skip(noUnix), async () => {
  using directory = place();
  for (const cut of [false, true]) {
    using both = await pairOn(directory.path);
    const [client, server] = await Promise.all([
      startTls(both.client as never, { ca, serverName: "localhost" }),
      startTls(both.server as never, { server: true, cert, key }),
    ]);
    await client.write(new Uint8Array([1, 2, 3]));
    assertEquals([...await readExactly(server, 3)], [1, 2, 3]);
    if (cut) client.reset();
    else client.close();
    const end = server.read(new Uint8Array(1));
    if (cut) await assertCode(end, "ECONNRESET");
    else assertEquals(await end, null);
    server.close();
  }
});

test("unix: plain text before startTls is EPROTO, also of few bytes", skip(noUnix), async () => {
  using directory = place();
  using both = await pairOn(directory.path);
  await both.client.write(new Uint8Array([0]));
  await sleep(20);
  const limits = { timeout: 2_000 };
  const securing = startTls(both.server as never, { server: true, cert, key }, limits);
  await assertCode(securing, "EPROTO");
});

// Deno's `child.kill` takes a process that was stopped for one that has ended.
test(
  "unix: a listener whose backlog is full is waited for, and not replaced",
  skip(noAbstract),
  async () => {
    using directory = place();
    const { path } = directory;
    const child = startRuntime(testFile("programs/unix_listener.ts"), [path]);
    const ended = new Promise((resolve) => child.once("close", resolve));
    const open: UnixConnection[] = [];
    try {
      await within(2 * patience, new Promise((resolve) => child.stdout!.once("data", resolve)));
      process.kill(child.pid!, "SIGSTOP");
      let error: unknown;
      while (error === undefined) {
        await connect({ path, timeout: 200 }).then((one) => open.push(one), (e) => error = e);
      }
      assertInstanceOf(error, TimeoutError);
      assertEquals(error.operation, "connect");
      assert(error.diagnosis?.includes("does not accept"), error.diagnosis);
      const reason = new Error("no longer");
      const controller = new AbortController();
      const aborted = errorOf(connect({ path, timeout: patience, signal: controller.signal }));
      controller.abort(reason);
      assertEquals(await aborted, reason);
      await assertCode(listen({ path, timeout: 1 }), "EADDRINUSE");
      // A limit that ends just when it dials again must not keep those who come later waiting.
      const limited = errorOf(connect({ path, timeout: 100 }));
      await sleep(50);
      const start = performance.now();
      while (performance.now() - start < 150);
      assertInstanceOf(await limited, TimeoutError);
      const waiting = connect({ path, timeout: patience });
      await sleep(20);
      process.kill(child.pid!, "SIGCONT");
      open.push(await waiting);
    } finally {
      for (const one of open) one.close();
      process.kill(child.pid!, "SIGKILL");
      await ended;
    }
  },
);

test("unix: a socket of another type is not replaced", skip(noAbstract), async () => {
  using directory = place();
  const { path } = directory;
  const program = `import socket, sys
one = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
one.bind(sys.argv[1])
print(flush=True)
sys.stdin.read()`;
  const child = spawn("python3", ["-c", program, path], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("close", resolve));
  await within(patience, new Promise((resolve) => child.stdout.once("data", resolve)));
  await assertCode(connect({ path, timeout: patience }), "EPROTOTYPE");
  await assertCode(listen({ path, timeout: 1 }), "EADDRINUSE");
  child.stdin.end();
  await ended;
  (await listen({ path, timeout: 1 })).close();
});

test("unix: closing leaves the file of another listener", skip(noUnix), async () => {
  using directory = place();
  const { path } = directory;
  using old: UnixListener = await listen({ path, timeout: patience });
  rmSync(path);
  using both = await pairOn(path);
  old.close();
  using client: UnixConnection = await connect({ path, timeout: patience });
  assertEquals(client.remoteAddr, both.client.remoteAddr);
  both.listener.close();
  assertEquals(readdirSync(dirname(path)), []);
});

test(
  "unix: errors have the path, and claim nothing that the kernel has not said",
  skip(noUnix),
  async () => {
    using directory = place();
    const { path } = directory;
    const nobody = await assertCode(connect({ path, timeout: patience }), "ENOENT");
    assertEquals([nobody.operation, nobody.address as unknown], ["connect", { path }]);
    assert(nobody.message.includes(path), nobody.message);
    using both = await pairOn(path);
    const late = await errorOf(both.client.read(new Uint8Array(1), { timeout: 20 }));
    assertInstanceOf(late, TimeoutError);
    assertEquals(late.address as unknown, { path });
    const expected = noKernel === undefined ? "Unix" : "out of reach";
    assert(late.diagnosis?.includes(expected), late.diagnosis);
    const taken = await assertCode(listen({ path, timeout: patience }), "EADDRINUSE");
    assertEquals(taken.address as unknown, { path });
    await assertCode(listen({ path: join(path, "..", "missing", "s"), timeout: 1 }), "ENOENT");
  },
);

test(
  "unix: closeWrite when the peer has gone is no error, before and after the end was read",
  skip(noUnix),
  async () => {
    using directory = place();
    for (const [read, pause] of [[false, 0], [true, 0], [true, 100]] as const) {
      using both = await pairOn(directory.path);
      both.client.close();
      if (read) assertEquals(await both.server.read(new Uint8Array(1)), null);
      await sleep(pause);
      await both.server.closeWrite();
    }
  },
);

test("unix: listening without a descriptor left is EMFILE", skip(noUnix), async () => {
  using directory = place();
  const { code, output } = await spawnRuntime(
    testFile("programs/unix_full.ts"),
    [directory.path],
    undefined,
    { through: ["sh", "-c", 'ulimit -n 100; exec "$@"', "sh"] },
  );
  assertEquals([code, output.trim()], [0, "EMFILE"]);
});

test("unix: what is TCP's is refused by name", skip(noUnix), async () => {
  using directory = place();
  const { path } = directory;
  const foreign = {
    ...{ hostname: "localhost", port: 1, keepAlive: true, noDelay: true, userTimeout: 1_000 },
    ...{ deadPeerTimeout: 5_000, localAddress: "127.0.0.1" },
  };
  for (const [key, value] of Object.entries(foreign)) {
    const error = await errorOf(connect({ path, timeout: 1, [key]: value } as never));
    assertInstanceOf(error, TypeError);
    assert(error.message.includes(`'${key}' is for TCP`), error.message);
  }
  for (const [key, value] of Object.entries({ port: 0, reusePort: true, keepAlive: false })) {
    const error = await errorOf(listen({ path, timeout: 1, [key]: value } as never));
    assertInstanceOf(error, TypeError);
    assert(error.message.includes(`'${key}' is for TCP`), error.message);
  }
  for (const wrong of ["", "x".repeat(104), "a\0b", 5]) {
    const error = await errorOf(connect({ path: wrong, timeout: 1 } as never));
    assert(error instanceof TypeError || error instanceof RangeError, String(error));
  }
  assertInstanceOf(await errorOf(connect({ path } as never)), TypeError);
  using both = await pairOn(path);
  for (
    const call of [() => both.client.setOptions({ noDelay: true }), () => both.client.tcpInfo()]
  ) {
    const error = await errorOf(Promise.resolve().then((): unknown => call()));
    assert(error instanceof TypeError || !(error instanceof SocketError), String(error));
  }
  // There is no RST on Unix sockets, so the stream ends.
  both.server.reset();
  assertEquals(await both.client.read(new Uint8Array(1)), null);
});

test("a child process does not inherit a Unix listener", skip(noAbstract ?? noKernel), async () => {
  using directory = place();
  for (const path of [directory.path, `\0holdfast-${process.pid}`]) {
    using _listener = await listen({ path, timeout: patience });
    const { stdout } = spawnSync("ls", ["-l", "/proc/self/fd"], { encoding: "utf8" });
    assert(!stdout.includes(`socket:[${inodeOf(path)}]`), stdout);
  }
});
