/** Connections that read much, which a runtime may serve by direct system calls after the first reads. */

import { test } from "node:test";
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { SocketError, TimeoutError } from "@holdfast/tcp";
import {
  firstDifference,
  type Pair,
  pair,
  patience,
  sleep,
  streamBytes,
  within,
} from "./support.ts";

const large = 65_536;

/** Reads `size` bytes into memory of these sizes in turn. Returns where the stream differs, or -1. */
async function difference(
  read: (into: Uint8Array) => Promise<number | null>,
  size: number,
  sizes: number[],
): Promise<number> {
  for (let got = 0, i = 0; got < size; i++) {
    const into = new Uint8Array(sizes[i % sizes.length]!);
    const count = await within(patience, read(into));
    if (count === null) return got;
    const at = firstDifference(into.subarray(0, count), got);
    if (at >= 0) return got + at;
    got += count;
  }
  return -1;
}

test("many reads: the stream is exact, whatever size the reads have", async () => {
  using both = await pair();
  const { client, server } = both;
  const size = 12_000_000;
  const sent = server.write(streamBytes(0, size));
  const sizes = [large, large, large, 100_000, 16_384, large, 10, 20_000, 1_000];
  assertEquals(await difference((into) => client.read(into), size, sizes), -1);
  assertEquals(await sent, size);
  assertEquals(client.bytesRead, size);
});

test("many reads: a timeout among them loses nothing", async () => {
  using both = await pair();
  const { client, server } = both;
  const part = 2_000_000;
  for (let i = 0; i < 4; i++) {
    const sent = server.write(streamBytes(i * part, part));
    const read = async (into: Uint8Array) => await client.read(into);
    let got = 0;
    while (got < part) {
      const into = new Uint8Array(large);
      const count = (await within(patience, read(into)))!;
      assertEquals(firstDifference(into.subarray(0, count), i * part + got), -1);
      got += count;
    }
    await sent;
    const late = await assertRejects(() => client.read(new Uint8Array(large), { timeout: 5 }));
    assertInstanceOf(late, TimeoutError);
  }
});

test("many reads: the end comes after the last byte", async () => {
  using both = await pair();
  const { client, server } = both;
  const size = 8_000_000;
  const sent = server.write(streamBytes(0, size)).then(() => server.closeWrite());
  assertEquals(await difference((into) => client.read(into), size, [large]), -1);
  await sent;
  assertEquals(await within(patience, client.read(new Uint8Array(large))), null);
  assertEquals(await client.write(new Uint8Array(1)), 1);
});

test("many reads: who asks for the native socket half way changes nothing", async () => {
  using both = await pair();
  const { client, server } = both;
  const size = 8_000_000;
  const sent = server.write(streamBytes(0, size));
  let reads = 0;
  const read = (into: Uint8Array) => {
    if (++reads === 60) assertEquals(typeof client.native, "object");
    return client.read(into);
  };
  assertEquals(await difference(read, size, [large]), -1);
  await sent;
});

/**
 * Reads all that has arrived already, so that the next read expects more than there is. Returns how many
 * bytes that was.
 */
async function bulk({ client, server }: Pair): Promise<number> {
  let got = 0;
  for (let i = 1; i <= 20; i++) {
    await server.write(streamBytes(got, 2 * large));
    while (got < i * 2 * large) {
      const into = new Uint8Array(large);
      const count = (await within(patience, client.read(into)))!;
      assertEquals(firstDifference(into.subarray(0, count), got), -1);
      got += count;
    }
  }
  return got;
}

test("many reads: what a small one left waiting for comes before what a large one gets", async () => {
  using both = await pair();
  const { client, server } = both;
  const before = await bulk(both);
  const late = await assertRejects(() => client.read(new Uint8Array(10), { timeout: 5 }));
  assertInstanceOf(late, TimeoutError);
  const size = 200_000;
  const sent = server.write(streamBytes(before, size));
  for (let got = 0; got < size;) {
    const into = new Uint8Array(large);
    const count = (await within(patience, client.read(into)))!;
    assertEquals(firstDifference(into.subarray(0, count), before + got), -1);
    got += count;
  }
  await sent;
});

test("many reads: a peer's reset is told to both sides of the connection, whoever meets it", async () => {
  using both = await pair();
  const { client, server } = both;
  await bulk(both);
  server.reset();
  await sleep(20);
  const into = new Uint8Array(large);
  for (let i = 0; i < 2; i++) {
    const error = await assertRejects(() => within(patience, client.read(into)), SocketError);
    assertEquals(error.code, "ECONNRESET");
  }
  await assertRejects(() => client.write(into), SocketError);
});

test("many reads: close ends the next one", async () => {
  using both = await pair();
  const { client, server } = both;
  const size = 8_000_000;
  server.write(streamBytes(0, size)).catch(() => {});
  assertEquals(await difference((into) => client.read(into), size / 2, [large]), -1);
  client.close();
  const error = await assertRejects(() => client.read(new Uint8Array(large)), SocketError);
  assertEquals(error.code, "EBADF");
});
