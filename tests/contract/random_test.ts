/**
 * Random reads, writes, timeouts, deadlines and aborts, and a check that no byte is lost or repeated.
 * `HOLDFAST_SEED=n` repeats the choices of a run, but not the timing of the kernel.
 */

import process from "node:process";
import { test } from "node:test";
import { assert, assertEquals, assertGreater, assertInstanceOf } from "@std/assert";
import {
  type CallOptions,
  capabilities,
  connect,
  Deadline,
  listen,
  onlySupported,
  SocketError,
  type TcpConnection,
  TimeoutError,
} from "@holdfast/tcp";
import {
  between,
  firstDifference,
  pair,
  patience,
  readExactly,
  sameBytes,
  sleep,
  streamBytes,
  within,
} from "./support.ts";
import { randomFrom } from "../support/random.ts";
import { skip } from "../support/skip.ts";

const seed = Number(process.env.HOLDFAST_SEED ?? Math.floor(Math.random() * 2 ** 31));

type Random = () => number;

/** Mostly small, sometimes large. */
const size = (random: Random, most: number): number =>
  1 + Math.floor(most * Math.pow(random(), random() < 0.9 ? 8 : 1));

const aborted = { why: "aborted" };

/** The limits of one call: none, or some of the three, most of them so short that they end it. */
function limits(random: Random, abortable: boolean): CallOptions | undefined {
  if (random() < 0.3) return undefined;
  const options: CallOptions = {};
  const span = () => random() < 0.7 ? 0.05 + random() * 3 : patience;
  if (random() < 0.6) options.timeout = random() < 0.05 ? null : span();
  if (random() < 0.3) options.deadline = Deadline.after(span());
  if (abortable && random() < 0.4) {
    const controller = new AbortController();
    options.signal = controller.signal;
    const when = random();
    if (when < 0.1) controller.abort(aborted);
    else if (when < 0.3) queueMicrotask(() => controller.abort(aborted));
    else if (when < 0.7) setTimeout(() => controller.abort(aborted), random() * 4);
  }
  return options;
}

/** Compares what was sent with what arrived, as far as both are known. */
class Wire {
  readonly #sent: Uint8Array[] = [];
  readonly #received: Uint8Array[] = [];
  position = 0;

  sent(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#sent.push(bytes);
    this.#compare();
  }

  received(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#received.push(bytes);
    this.#compare();
  }

  get even(): boolean {
    return this.#sent.length === 0 && this.#received.length === 0;
  }

  #compare(): void {
    for (;;) {
      const [sent] = this.#sent;
      const [received] = this.#received;
      if (sent === undefined || received === undefined) return;
      const length = Math.min(sent.length, received.length);
      if (!sameBytes(sent.subarray(0, length), received.subarray(0, length))) {
        const at = sent.findIndex((byte, i) => byte !== received[i]);
        throw new Error(`Byte ${this.position + at} differs (seed ${seed})`);
      }
      this.position += length;
      if (sent.length > length) this.#sent[0] = sent.subarray(length);
      else this.#sent.shift();
      if (received.length > length) this.#received[0] = received.subarray(length);
      else this.#received.shift();
    }
  }
}

interface Tally {
  operations: number;
  timeouts: number;
  aborts: number;
  /** Counts writes that ended early after a part of their bytes was taken. */
  partial: number;
}

function count(tally: Tally, error: unknown): void {
  if (error === aborted) tally.aborts++;
  else {
    assertInstanceOf(error, TimeoutError);
    tally.timeouts++;
  }
}

/** Small buffers, so that writes have to wait. */
const small = onlySupported({ sendBufferSize: 16_384, receiveBufferSize: 16_384 });
const alwaysLarge = Object.keys(small).length === 0;

const noise = crypto.getRandomValues(new Uint8Array(65_536));

/** Bytes that differ from all others nearby. */
function randomBytes(random: Random, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length;) {
    const from = Math.floor(random() * noise.length);
    const part = noise.subarray(from, from + length - i);
    bytes.set(part, i);
    i += part.length;
  }
  return bytes;
}

async function sendAll(
  socket: TcpConnection,
  random: Random,
  wire: Wire,
  tally: Tally,
  end: () => boolean,
) {
  for (let i = 1; !end(); i++) {
    // Where buffers cannot be made small, hardly any write would have to wait.
    const flood = alwaysLarge && i % 100 === 0;
    // The reason of an abort has no count, so the difference of the totals is used.
    const calls = random() < 0.7 ? 1 : 2 + Math.floor(random() * 3);
    const before = socket.bytesWritten;
    await Promise.all(Array.from({ length: calls }, async () => {
      const data = randomBytes(random, flood ? 2 ** 23 : size(random, 60_000));
      const copy = data.slice();
      tally.operations++;
      try {
        assertEquals(
          await socket.write(data, flood ? { timeout: 2 } : limits(random, calls === 1)),
          data.length,
        );
        wire.sent(copy);
      } catch (error) {
        count(tally, error);
        const sent = error instanceof TimeoutError
          ? error.bytesWritten!
          : socket.bytesWritten - before;
        if (calls === 1) assertEquals(sent, socket.bytesWritten - before);
        if (sent > 0) tally.partial++;
        wire.sent(copy.subarray(0, sent));
      }
      data.fill(0xee);
    }));
    if (random() < 0.02) await sleep(random() * 5);
  }
  await socket.closeWrite();
}

async function receiveAll(socket: TcpConnection, random: Random, wire: Wire, tally: Tally) {
  const abandoned: Uint8Array[] = [];
  const untouched = new Uint8Array(40_000).fill(0xee);
  const check = (into: Uint8Array) =>
    assert(sameBytes(into, untouched.subarray(0, into.length)), `seed ${seed}`);
  for (let ended = false; !ended;) {
    const calls = random() < 0.7 ? 1 : 2 + Math.floor(random() * 3);
    await Promise.all(Array.from({ length: calls }, async () => {
      const into = new Uint8Array(size(random, 40_000)).fill(0xee);
      tally.operations++;
      try {
        const got = await socket.read(into, limits(random, true));
        if (got === null) ended = true;
        else {
          wire.received(into.slice(0, got));
          check(into.subarray(got, got + 1_000));
        }
      } catch (error) {
        count(tally, error);
        if (abandoned.push(into) > 20) check(abandoned.shift()!);
      }
    }));
    if (random() < 0.05) await sleep(random() * 20);
  }
  for (const into of abandoned) check(into);
}

test(`random: reads, writes, timeouts and aborts, both ways (seed ${seed})`, async () => {
  console.log(`HOLDFAST_SEED=${seed}`);
  const tally: Tally = { operations: 0, timeouts: 0, aborts: 0, partial: 0 };
  const end = performance.now() + 12_000;
  await within(
    60_000,
    Promise.all(Array.from({ length: 8 }, async (_, i) => {
      const random = randomFrom(seed + i);
      using sockets = await pair(i % 2 === 0 ? { listen: small, connect: small } : {});
      const { client, server } = sockets;
      // From then on nothing is sent or received by direct system calls.
      if (i % 4 > 1) assertEquals(typeof client.native, "object");
      const there = new Wire();
      const back = new Wire();
      const enough = () => performance.now() > end || tally.operations > 10_000;
      await Promise.all([
        sendAll(client, random, there, tally, enough),
        receiveAll(server, random, there, tally),
        sendAll(server, random, back, tally, enough),
        receiveAll(client, random, back, tally),
      ]);
      assert(there.even && back.even, `something is missing at the end (seed ${seed})`);
      assertEquals([there.position, back.position], [client.bytesWritten, server.bytesWritten]);
      assertEquals([there.position, back.position], [server.bytesRead, client.bytesRead]);
    })),
  );
  console.log(JSON.stringify(tally));
  // Checks that everything happened several times. How often depends on the speed of the machine.
  assertGreater(tally.operations, 500);
  assertGreater(tally.timeouts, 10);
  assertGreater(tally.aborts, 10);
  // Large buffers may never be full.
  if (small.sendBufferSize !== undefined) assertGreater(tally.partial, 1);
});

const endings = capabilities().options.reset.set === "none"
  ? ["close", "closeWrite", "end"] as const
  : ["close", "closeWrite", "end", "reset"] as const;

/** Reads to the end. Returns "whole" or the code of the error that ended it. */
async function readToEnd(socket: TcpConnection, random: Random, tally: Tally): Promise<string> {
  const memory = new Uint8Array(40_000);
  for (;;) {
    const position = socket.bytesRead;
    const into = memory.subarray(0, size(random, memory.length));
    tally.operations++;
    try {
      const got = await socket.read(into, limits(random, true));
      if (got === null) return "whole";
      assertEquals(firstDifference(into.subarray(0, got), position), -1, `seed ${seed}`);
    } catch (error) {
      if (error instanceof SocketError) return error.code;
      count(tally, error);
    }
  }
}

/** One connection that its server ends at a random moment. Returns how, and what the client saw. */
async function ending(random: Random, tally: Tally): Promise<string> {
  const how = endings[Math.floor(random() * endings.length)]!;
  using sockets = await pair(random() < 0.5 ? { listen: small, connect: small } : {});
  const { client, server } = sockets;
  const most = size(random, 1_000_000);
  let over = false;
  const sending = (async () => {
    while (server.bytesWritten < most) {
      const data = streamBytes(server.bytesWritten, size(random, 60_000));
      tally.operations++;
      try {
        await server.write(data, limits(random, true));
      } catch (error) {
        if (over && error instanceof SocketError) return;
        count(tally, error);
      }
    }
  })();
  const reading = readToEnd(client, random, tally);
  const cut = (how === "close" || how === "reset") && random() < 0.7;
  await Promise.race([sending, cut ? sleep(random() * 20) : undefined].filter(Boolean));
  over = true;
  const ended = server[how]();
  const saw = await within(patience, reading);
  await within(patience, sending);
  if (saw === "whole") assertEquals(client.bytesRead, server.bytesWritten, `${how}, seed ${seed}`);
  else {assertEquals(
      [saw, how === "close" || how === "reset"],
      ["ECONNRESET", true],
      `${how}, seed ${seed}`,
    );}
  if (how === "end") await client.closeWrite();
  await within(patience, Promise.resolve(ended));
  server.close();
  client.close();
  assertEquals(await within(patience, server.closed), undefined);
  assertEquals(await within(patience, client.closed) === undefined, saw === "whole");
  return `${how} ${saw}`;
}

test(`random: endings, and what ends well is whole (seed ${seed})`, skip(between), async () => {
  const tally: Tally = { operations: 0, timeouts: 0, aborts: 0, partial: 0 };
  const seen = new Set<string>();
  const end = performance.now() + 8_000;
  await Promise.all(Array.from({ length: 8 }, async (_, i) => {
    const random = randomFrom(seed - 1 - i);
    for (let n = 0; n < 20 && performance.now() < end; n++) seen.add(await ending(random, tally));
  }));
  console.log(JSON.stringify(tally), [...seen].sort().join(", "));
  for (const what of ["close whole", "closeWrite whole", "end whole"]) assert(seen.has(what), what);
});

test(`random: accepts against timeouts and aborts, no connection is lost (seed ${seed})`, async () => {
  const random = randomFrom(~seed);
  using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience });
  const { hostname, port } = listener.addr;
  const total = 1_000;
  const tally: Tally = { operations: 0, timeouts: 0, aborts: 0, partial: 0 };
  const clients: TcpConnection[] = [];
  const dialled = (async () => {
    while (clients.length < total) {
      const burst = Math.min(total - clients.length, 1 + Math.floor(random() * 12));
      const opened = await Promise.all(
        Array.from({ length: burst }, () => connect({ hostname, port, timeout: patience })),
      );
      await Promise.all(opened.map(async (client, i) => {
        const id = new Uint8Array(2);
        new DataView(id.buffer).setUint16(0, clients.length + i);
        await client.write(id);
      }));
      clients.push(...opened);
      if (random() < 0.6) await sleep(random() * 6);
    }
  })();
  try {
    const seen = new Set<number>();
    const end = performance.now() + 20_000;
    while (seen.size < total) {
      assert(performance.now() < end, `${total - seen.size} connections are lost (seed ${seed})`);
      const calls = 1 + Math.floor(random() * 4);
      await Promise.all(Array.from({ length: calls }, async () => {
        tally.operations++;
        try {
          // There is always a limit, so that the last accepts end.
          const deadline = Deadline.after(random() < 0.5 ? 0.05 + random() * 3 : 30);
          using server = await listener.accept({ ...limits(random, true), deadline });
          const id = new DataView((await readExactly(server, 2)).buffer).getUint16(0);
          assert(!seen.has(id), `connection ${id} came twice (seed ${seed})`);
          seen.add(id);
        } catch (error) {
          count(tally, error);
        }
      }));
    }
    await dialled;
    console.log(JSON.stringify(tally));
    await assertNobody(() => listener.accept({ timeout: 50 }));
    assertGreater(tally.timeouts + tally.aborts, 50);
  } finally {
    for (const client of clients) client.close();
  }
});

async function assertNobody(accept: () => Promise<unknown>): Promise<void> {
  assertInstanceOf(await accept().catch((error: unknown) => error), TimeoutError);
}
