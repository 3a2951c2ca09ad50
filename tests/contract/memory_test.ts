/** The caller's memory: which length counts, and what happens when it is transferred meanwhile. */

import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { constants, setsockopt, type TcpConnection } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import {
  firstDifference,
  pair,
  patience,
  readExactly,
  sleep,
  small,
  streamBytes,
  tooMuchForSmall,
  within,
} from "./support.ts";
import { noKernel } from "./support_listen.ts";

const bytes = [1, 2, 3, 4];
/** Far more than there is. */
const lie = 50_000;
/** More than it takes to find out that a connection writes often. */
const often = 40;

class Longer extends Uint8Array {
  override get length(): number {
    return lie;
  }
}

class Hidden extends Uint8Array {
  override subarray(): Uint8Array<ArrayBuffer> {
    return own(new Uint8Array(4));
  }
}

/** An array whose `length` lies from the second access on. */
function own<Memory extends Uint8Array>(array: Memory): Memory {
  let asked = 0;
  return Object.defineProperty(array, "length", { get: () => asked++ < 1 ? bytes.length : lie });
}

/** Arrays of the four bytes, each with other false properties. */
const liars: Record<string, () => Uint8Array> = {
  "a subclass": () => new Longer(bytes),
  "an own property": () => Object.defineProperty(new Uint8Array(bytes), "length", { value: lie }),
  "an own getter": () => own(new Uint8Array(bytes)),
  "a method": () => new Hidden(bytes),
  "no class": () => Object.setPrototypeOf(new Uint8Array(bytes), null),
  "another realm": () => runInNewContext("new Uint8Array([1, 2, 3, 4])"),
};

/** Fills memory that connections may share with bytes that must not appear anywhere else. */
async function leaveSecrets(): Promise<void> {
  using sockets = await pair();
  const secret = new Uint8Array(lie).fill(0xee);
  const arrived = readExactly(sockets.server, often * lie);
  for (let i = 0; i < often; i++) await sockets.client.write(secret);
  await arrived;
}

async function writeOften(from: TcpConnection, to: TcpConnection): Promise<void> {
  for (let i = 0; i < often; i++) await from.write(new Uint8Array(bytes));
  await readExactly(to, often * bytes.length);
}

for (const [how, make] of Object.entries(liars)) {
  test(`write: its true bytes and no others, of an array that lies by ${how}`, async () => {
    await leaveSecrets();
    for (const busy of [false, true]) {
      using sockets = await pair();
      const { client, server } = sockets;
      if (busy) await writeOften(client, server);
      const before = client.bytesWritten;
      assertEquals(await within(patience, client.write(make())), bytes.length);
      const { writable } = client;
      const writer = writable.getWriter();
      await within(patience, writer.write(make()));
      assertEquals(client.bytesWritten - before, 2 * bytes.length);
      await writer.close();
      const into = new Uint8Array(2 * lie);
      let size = 0;
      for (let count; (count = await server.read(into.subarray(size))) !== null;) size += count;
      assertEquals([...into.subarray(0, size)], [...bytes, ...bytes]);
    }
  });

  test(`read: into an array that lies by ${how}, no more than it holds`, async () => {
    using sockets = await pair();
    const { client, server } = sockets;
    await server.write(new Uint8Array([5, 6, 7, 8, 9, 10]));
    await sleep(20);
    const into = make();
    assertEquals(await within(patience, client.read(into)), bytes.length);
    assertEquals(Array.from({ length: 4 }, (_, i) => into[i]), [5, 6, 7, 8]);
    assertEquals(await readExactly(client, 2), new Uint8Array([9, 10]));
  });
}

test("read and write: what only looks like a Uint8Array is refused", async () => {
  using sockets = await pair();
  const { client } = sockets;
  for (
    const looks of [
      new Proxy(new Uint8Array(4), {}),
      Object.create(Uint8Array.prototype),
      new Uint8ClampedArray(4),
      new DataView(new ArrayBuffer(4)),
    ]
  ) {
    const memory = looks as Uint8Array;
    await assertRejects(() => client.write(memory), TypeError, "'data' must be a Uint8Array");
    await assertRejects(() => client.read(memory), TypeError, "'into' must be a Uint8Array");
  }
  assertEquals(client.bytesWritten, 0);
});

test("read and write: an array without its memory is refused, and an empty one is not", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await server.write(new Uint8Array(3));
  const transferred = new Uint8Array(4);
  structuredClone(transferred.buffer, { transfer: [transferred.buffer] });
  const resizable = new ArrayBuffer(8, { maxByteLength: 8 });
  const outside = new Uint8Array(resizable, 4, 4);
  resizable.resize(2);
  for (const memory of [transferred, outside]) {
    assertEquals(memory.length, 0);
    await assertRejects(() => client.write(memory), TypeError, "the memory of 'data'");
    await assertRejects(() => client.read(memory), TypeError, "the memory of 'into'");
  }
  for (const empty of [new Uint8Array(0), new Uint8Array(resizable, 2)]) {
    assertEquals(await client.write(empty), 0);
    assertEquals(await client.read(empty), 0);
  }
  assertEquals(await client.read(new Uint8Array(9)), 3);
});

for (const timeout of [null, patience]) {
  test(`write: memory that is taken away meanwhile ends that write, timeout ${timeout}`, async () => {
    for (const how of ["transferred", "resized"]) {
      for (const busy of [false, true]) {
        using sockets = await pair({
          listen: small,
          connect: { timeout: { connect: null, read: null, write: timeout }, ...small },
        });
        const { client, server } = sockets;
        if (busy) await writeOften(client, server);
        const before = client.bytesWritten;
        const size = tooMuchForSmall;
        const buffer = new ArrayBuffer(size, { maxByteLength: size });
        const data = new Uint8Array(buffer);
        data.set(streamBytes(0, size));
        const late = assertRejects(() => client.write(data), TypeError, "'data'");
        await sleep(50);
        if (how === "resized") buffer.resize(8);
        else structuredClone(buffer, { transfer: [buffer] });
        const into = new Uint8Array(size);
        let arrived = 0;
        const received = (async () => {
          for (let count; (count = await server.read(into.subarray(arrived))) !== null;) {
            arrived += count;
          }
        })();
        await within(patience, late);
        await client.closeWrite();
        await within(patience, received);
        assertEquals(arrived, client.bytesWritten - before);
        assert(arrived < size);
        assertEquals(firstDifference(into.subarray(0, arrived), 0), -1);
      }
    }
  });
}

test("setsockopt takes an array of any class and realm", skip(noKernel), async () => {
  using sockets = await pair();
  const { client } = sockets;
  for (const [how, make] of Object.entries(liars)) {
    client.setOptions({ keepAlive: false });
    setsockopt(client, constants.SOL_SOCKET!, constants.SO_KEEPALIVE!, make());
    assert(client.getOptions().keepAlive !== false, how);
  }
});
