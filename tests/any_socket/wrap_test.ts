/** `wrap`: timeouts for connections that were not opened by this library. */

import { Buffer } from "node:buffer";
import { once } from "node:events";
import dgram from "node:dgram";
import net, { type AddressInfo } from "node:net";
import process from "node:process";
import tls from "node:tls";
import { test } from "node:test";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { getOptions, SocketError, type TcpConnection, TimeoutError, wrap } from "@holdfast/tcp";
import { ca, certificate as cert, privateKey as key } from "../support/certificate.ts";
import { randomFrom } from "../support/random.ts";
import { skip } from "../support/skip.ts";
import {
  firstDifference,
  patience,
  readExactly,
  sleep,
  streamBytes,
  within,
} from "../contract/support.ts";
import { noKernel } from "../contract/support_listen.ts";
import { kinds } from "../contract/support_native.ts";
import { keepsData, openers, refusedKinds, wrapped } from "./support_wrap.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (text: string) => new TextEncoder().encode(text);

for (const [name, open] of openers) {
  test(`wrap ${name}: a read that timed out loses nothing`, async () => {
    using pair = await wrapped(open);
    for (const [here, there] of [[pair.dialled, pair.accepted], [pair.accepted, pair.dialled]]) {
      const abandoned = new Uint8Array(64);
      const error = await assertRejects(() => here!.read(abandoned, { timeout: 30 }), TimeoutError);
      assertEquals([error.operation, error.timeout], ["read", 30]);
      await there!.write(bytes("first "));
      await there!.write(bytes("second"));
      assertEquals(text(await readExactly(here!, 12)), "first second");
      assertEquals(abandoned, new Uint8Array(64));
    }
  });

  test(`wrap ${name}: a write that timed out says what it took`, async () => {
    using pair = await wrapped(open);
    const { dialled, accepted } = pair;
    const size = 24_000_000;
    const data = streamBytes(0, size);
    let sent = 0;
    while (sent < size) {
      const rest = data.slice(sent, sent + 8_000_000);
      try {
        sent += await dialled.write(rest, { timeout: 200 });
      } catch (error) {
        assertInstanceOf(error, TimeoutError);
        sent += error.bytesWritten!;
        // The caller may reuse its memory.
        rest.fill(0);
        break;
      }
    }
    assert(sent < size, "the peer does not read: this cannot all be sent");
    const [last] = await Promise.all([
      dialled.write(data.subarray(sent)),
      readExactly(accepted, size).then((got) => assertEquals(firstDifference(got, 0), -1)),
    ]);
    assertEquals(last, size - sent);
    assertEquals([dialled.bytesWritten, accepted.bytesRead], [size, size]);
  });

  test(`wrap ${name}: a write that waits survives a peer that finishes first`, async () => {
    using pair = await wrapped(open);
    const { dialled, accepted } = pair;
    const size = 8_000_000;
    const written = dialled.write(new Uint8Array(size));
    assertEquals(await Promise.race([written, sleep(50)]), undefined, "the write has to wait");
    await accepted.closeWrite();
    assertEquals(await dialled.read(new Uint8Array(1)), null);
    const [, taken] = await Promise.all([readExactly(accepted, size), within(patience, written)]);
    assertEquals(taken, size);
  });

  test(`wrap ${name}: both sides finish, one after the other`, async () => {
    using pair = await wrapped(open);
    const { dialled, accepted } = pair;
    await dialled.write(bytes("question"));
    await dialled.closeWrite();
    assertEquals(text(await readExactly(accepted, 8)), "question");
    assertEquals(await accepted.read(new Uint8Array(1)), null);
    await accepted.write(bytes("answer"));
    await accepted.closeWrite();
    assertEquals(text(await readExactly(dialled, 6)), "answer");
    assertEquals(await dialled.read(new Uint8Array(1)), null);
  });

  test(`wrap ${name}: options, addresses and the end`, skip(noKernel), async () => {
    using pair = await wrapped(open);
    const { dialled, accepted } = pair;
    assertEquals(dialled.localAddr, accepted.remoteAddr);
    assertEquals(dialled.remoteAddr, accepted.localAddr);
    for (const one of [dialled, accepted]) {
      one.setOptions({ hopLimit: 33, userTimeout: 9_000 });
      const { hopLimit, userTimeout } = getOptions(one.native);
      assertEquals([hopLimit, userTimeout], [33, 9_000]);
      assertEquals(one.tcpInfo().state, "ESTABLISHED");
    }
    // The server closes first, since a client that has not read its session tickets closes with a reset.
    accepted.close();
    assertEquals(await dialled.read(new Uint8Array(1)), null);
    const closed = await assertRejects(() => accepted.read(new Uint8Array(1)), SocketError);
    assertEquals(closed.code, "EBADF");
  });

  test(`wrap ${name}: its owner closes it while calls wait`, async () => {
    for (const end of ["dialled", "accepted"] as const) {
      for (const size of [0, 50_000_000]) {
        using pair = await wrapped(open);
        const one = pair[end];
        const calls = [one.read(new Uint8Array(1))];
        if (size > 0) calls.push(one.write(new Uint8Array(size)));
        const codes = calls.map((call) => call.then(String, (error) => error.code));
        const { terminate, destroy, close } = one.native as Record<string, () => void>;
        (terminate ?? destroy ?? close)!.call(one.native);
        const all = await within(patience, Promise.all(codes));
        assertEquals(all, calls.map(() => "ECANCELED"));
      }
    }
  });

  test(`wrap ${name}: random reads and writes, byte-exact`, async () => {
    const seed = Number(process.env["HOLDFAST_SEED"] ?? Date.now() % 1_000_000);
    console.log(`HOLDFAST_SEED=${seed}`);
    using pair = await wrapped(open);
    const total = 3_000_000;
    const stalls = await within(
      4 * patience,
      Promise.all([
        sendAll(pair.dialled, total, randomFrom(seed)),
        receiveAll(pair.accepted, total, randomFrom(seed + 1)),
        sendAll(pair.accepted, total, randomFrom(seed + 2)),
        receiveAll(pair.dialled, total, randomFrom(seed + 3)),
      ]),
    );
    assert(stalls[1]! + stalls[3]! > 0, "no read timed out: the run shows nothing");
    assertEquals(pair.dialled.bytesRead, total);
    assertEquals(pair.accepted.bytesRead, total);
  });

  if (keepsData(name)) {
    test(`wrap ${name}: what has been received already comes first`, async () => {
      using pair = await open();
      using peer = wrap(pair.dialled, { timeout: patience });
      const size = 50_000;
      await peer.write(streamBytes(0, size));
      await sleep(50);
      const { taken } = await takeSome(pair.accepted);
      assertEquals(firstDifference(taken, 0), -1);
      using accepted = wrap(pair.accepted, { timeout: patience });
      const rest = await readExactly(accepted, size - taken.length);
      assertEquals(firstDifference(rest, taken.length), -1);
    });

    test(`wrap ${name}: an end that has been received already`, async () => {
      using pair = await open();
      using peer = wrap(pair.dialled, { timeout: patience });
      await peer.write(bytes("bye"));
      await peer.closeWrite();
      await sleep(50);
      using accepted = wrap(pair.accepted, { timeout: patience });
      assertEquals(text(await readExactly(accepted, 3)), "bye");
      assertEquals(await accepted.read(new Uint8Array(1)), null);
      await accepted.write(bytes("still here"));
      assertEquals(text(await readExactly(peer, 10)), "still here");
    });
  }
}

for (const [name, open] of refusedKinds) {
  test(`wrap refuses an accepted ${name}`, async () => {
    using sockets = await open();
    const [, accepted] = sockets.all;
    assertThrows(() => wrap(accepted!.socket, { timeout: 1 }), TypeError, "must not be a TLS");
  });
}

/** A client of `node:net` that has sent "x" and FIN, and the socket that its server has accepted. */
async function finishedClient() {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const [accepted]: net.Socket[] = await once(server, "connection");
  client.end("x");
  accepted!.resume();
  return { server, client, accepted: accepted! };
}

test("wrap a socket whose end has been read", async () => {
  const { server, client, accepted } = await finishedClient();
  await once(accepted, "end");
  using socket = wrap(accepted, { timeout: patience });
  assertEquals(await socket.read(new Uint8Array(1)), null);
  await socket.write(bytes("y"));
  const [data] = await once(client, "data");
  assertEquals(String(data), "y");
  client.destroy();
  server.close();
});

test("wrap a socket whose sending side is closed: writes are EPIPE, and reading goes on", async () => {
  const { server, client, accepted } = await finishedClient();
  await once(client, "finish");
  using socket = wrap(client, { timeout: patience });
  await socket.closeWrite();
  const error = await assertRejects(() => socket.write(bytes("y")), SocketError);
  assertEquals(error.code, "EPIPE");
  accepted.end("still here");
  assertEquals(await socket.read(new Uint8Array(64)), 10);
  assertEquals(await socket.read(new Uint8Array(64)), null);
  server.close();
});

test("wrap refuses what is ours, or wrapped already, or read by somebody else", async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const native = net.connect({ port, host: "127.0.0.1" });
  await once(native, "connect");
  using socket = wrap(native, { timeout: 1 });
  assertThrows(() => wrap(native, { timeout: 1 }), TypeError, "in use");
  assertThrows(() => wrap(socket, { timeout: 1 }), TypeError, "a TcpConnection");
  const onread = { buffer: new Uint8Array(9), callback: () => true };
  const other = net.connect({ port, host: "127.0.0.1", onread });
  await once(other, "connect");
  assertThrows(() => wrap(other, { timeout: 1 }), TypeError, "'onread'");
  other.destroy();
  server.close();
});

test("wrap a socket that was given back bytes of Node's pool, and stream them", async () => {
  const server = net.createServer((socket) => socket.end("tail")).listen(0, "127.0.0.1");
  await once(server, "listening");
  const native = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
  await once(native, "connect");
  native.unshift(Buffer.from("head "));
  using socket = wrap(native, { timeout: patience });
  let all = "";
  for await (const chunk of socket.readable) all += text(chunk);
  assertEquals(all, "head tail");
  server.close();
});

test("wrap a TLSSocket whose peer has finished, and end it", async () => {
  const server = tls.createServer({ cert, key }, (socket) => socket.end("tail"));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const native = tls.connect({ port, host: "127.0.0.1", ca });
  await once(native, "secureConnect");
  using socket = wrap(native, { timeout: patience });
  assertEquals(text(await readExactly(socket, 4)), "tail");
  assertEquals(await socket.read(new Uint8Array(9)), null);
  await socket.end();
  assertEquals(await socket.closed, undefined);
  server.close();
});

test("wrap refuses what is no open connection", async () => {
  for (const [name, open] of kinds) {
    const sockets = await open();
    const listener = sockets.all.at(-1)!.socket;
    assertThrows(() => wrap(listener, { timeout: 1 }), TypeError, "open TCP connection", name);
    sockets[Symbol.dispose]();
    await sleep(250);
    for (const { socket, name } of sockets.all) {
      assertThrows(() => wrap(socket, { timeout: 1 }), TypeError, "Cannot wrap", name);
    }
  }
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const connecting = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
  assertThrows(() => wrap(connecting, { timeout: 1 }), TypeError, "open TCP connection");
  await once(connecting, "connect");
  connecting.setEncoding("utf8");
  assertThrows(() => wrap(connecting, { timeout: 1 }), TypeError, "must not have an encoding");
  connecting.destroy();
  server.close();
  const udp = dgram.createSocket("udp4");
  for (const value of [udp, {}, { fd: 3 }, new net.Socket(), null, undefined, 3, "socket"]) {
    assertThrows(() => wrap(value as object, { timeout: 1 }), TypeError, "open TCP connection");
  }
  udp.close();
});

/** Sends the stream in pieces of random size under random timeouts. Returns how many timed out. */
async function sendAll(to: TcpConnection, total: number, next: () => number): Promise<number> {
  let timeouts = 0;
  // Starts late, so that the first reads time out.
  await sleep(20);
  for (let sent = 0; sent < total;) {
    const size = Math.min(1 + Math.floor(next() ** 4 * 300_000), total - sent);
    const piece = streamBytes(sent, size).slice();
    try {
      sent += await to.write(piece, { timeout: 1 + next() * 10 });
    } catch (error) {
      assertInstanceOf(error, TimeoutError);
      sent += error.bytesWritten!;
      piece.fill(0);
      timeouts++;
    }
    if (next() < 0.3) await sleep(next() * 10);
  }
  return timeouts;
}

/** Receives the stream. Returns how many reads timed out. */
async function receiveAll(from: TcpConnection, total: number, next: () => number): Promise<number> {
  let timeouts = 0;
  for (let got = 0; got < total;) {
    const into = new Uint8Array(1 + Math.floor(next() ** 3 * 100_000));
    try {
      const size = await from.read(into, { timeout: 0.5 + next() * 3 });
      assert(size !== null, "the stream ended");
      assertEquals(firstDifference(into.subarray(0, size), got), -1);
      got += size;
    } catch (error) {
      assertInstanceOf(error, TimeoutError);
      timeouts++;
    }
    if (next() < 0.05) await sleep(next() * 10);
  }
  return timeouts;
}

/** Reads a few bytes from the native socket, so that the runtime keeps the rest. */
async function takeSome(native: object): Promise<{ taken: Uint8Array }> {
  if (native instanceof net.Socket) {
    await once(native, "readable");
    const taken = native.read(7) as Uint8Array | null;
    assert(taken !== null && native.readableLength > 0, "the rest is in the socket's memory");
    return { taken: new Uint8Array(taken) };
  }
  const into = new Uint8Array(7);
  const size = await (native as { read(into: Uint8Array): Promise<number> }).read(into);
  return { taken: into.subarray(0, size) };
}
