/** Connections that write often, which a runtime may serve by direct system calls after the first writes. */

import { test } from "node:test";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { connect, SocketError, TimeoutError } from "@holdfast/tcp";
import {
  firstDifference,
  pair,
  patience,
  portTo,
  readExactly,
  secure,
  smallPair,
  streamBytes,
  tooMuchForSmall,
  within,
} from "./support.ts";

/** More than it takes to find out that a connection writes often. */
const often = 100;

for (const asked of [false, true]) {
  const after = asked ? ", after the program got the native socket" : "";
  test(`many writes: the stream is exact, from the first small one to one that ends half way${after}`, async () => {
    using both = await smallPair();
    const { client, server } = both;
    if (asked) assertEquals(typeof client.native, "object");
    let sent = 0;
    for (let i = 0; i < often; i++) sent += await client.write(streamBytes(sent, 1 + i));
    // The caller may reuse its memory as soon as the promise settles.
    const data = streamBytes(sent, tooMuchForSmall).slice();
    const error = await client.write(data, { timeout: 50 }).then(() => undefined, (error) => error);
    assertInstanceOf(error, TimeoutError);
    const { bytesWritten = 0 } = error;
    assert(bytesWritten > 0 && bytesWritten < data.length);
    assertEquals(client.bytesWritten, sent + bytesWritten);
    data.fill(0, 0, bytesWritten);
    const rest = client.write(data.subarray(bytesWritten));
    const received = await within(patience, readExactly(server, sent + data.length));
    assertEquals(await rest, data.length - bytesWritten);
    assertEquals(firstDifference(received, 0), -1);
  });
}

test("many writes: who asks for the native socket half way changes nothing", async () => {
  using both = await pair();
  const { client, server } = both;
  let sent = 0;
  for (let i = 0; i < often; i++) {
    if (i === often / 2) assertEquals(typeof client.native, "object");
    sent += await client.write(streamBytes(sent, 50));
  }
  assertEquals(firstDifference(await readExactly(server, sent), 0), -1);
});

test("many writes: a peer's reset is told to both sides of the connection, also if a write meets it first", async () => {
  using both = await pair();
  const { client, server } = both;
  const byte = new Uint8Array(1);
  for (let i = 0; i < often; i++) await client.write(byte);
  server.reset();
  const codes = ["ECONNRESET", "EPIPE"];
  // There is no turn of the event loop between the writes, so only a write can notice the reset.
  const failure = await within(
    patience,
    (async () => {
      for (;;) await client.write(byte);
    })().catch((error) => error),
  );
  assertInstanceOf(failure, SocketError);
  assert(codes.includes(failure.code), failure.code);
  const again = await assertRejects(() => client.write(byte), SocketError);
  assert(codes.includes(again.code), again.code);
  const reading = await within(
    patience,
    client.read(byte).then((size) => size, (error) => error.code),
  );
  // EPIPE means that the reset was reported to the read first.
  if (failure.code === "ECONNRESET") assertEquals(reading, "ECONNRESET");
});

test("many writes: after close there is nothing to write to", async () => {
  using both = await pair();
  const { client } = both;
  for (let i = 0; i < often; i++) await client.write(new Uint8Array(1));
  client.close();
  const error = await assertRejects(() => client.write(new Uint8Array(1)), SocketError);
  assertEquals(error.code, "EBADF");
});

test("many writes: what others have closed is not written to, whoever has its descriptor now", async () => {
  using both = await pair();
  const { client } = both;
  const byte = new Uint8Array([1]);
  for (let i = 0; i < often; i++) await client.write(byte);
  const native = client.native as Record<"close" | "destroy" | "end", (() => void) | undefined>;
  (native.close ?? native.destroy ?? native.end)!.call(native);
  // The next socket gets the descriptor that is free now.
  using other = await connect({
    port: await portTo(both.listener),
    timeout: patience,
    ...secure.connect,
  });
  using end = await both.listener.accept();
  // The results of these do not matter.
  for (let i = 0; i < 5; i++) client.write(byte).catch(() => {});
  await other.write(new Uint8Array([2, 2]));
  assertEquals([...await readExactly(end, 2)], [2, 2]);
});
