/** How a connection ends: what close() cuts off must not look whole, and end() leaves nothing behind. */

import { test } from "node:test";
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { capabilities, SocketError, type TcpConnection, TimeoutError } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { firstDifference, pair, patience, sleep, streamBytes, within } from "./support.ts";

const { set: reset, reason } = capabilities().options.reset;
const noReset = reset === "none" ? `reset: ${reason}` : undefined;
/** More than the kernel takes while nobody reads. */
const tooMuch = 16 * 2 ** 20;

/** Reads the stream to its end: how many bytes, and the error it ended with. */
async function readOn(socket: TcpConnection): Promise<[size: number, error: unknown]> {
  const into = new Uint8Array(262_144);
  let size = 0;
  try {
    for (let count; (count = await within(patience, socket.read(into))) !== null; size += count) {
      assertEquals(firstDifference(into.subarray(0, count), size), -1);
    }
    return [size, undefined];
  } catch (error) {
    return [size, error];
  }
}

function assertReset(error: unknown): void {
  assertInstanceOf(error, SocketError);
  assertEquals(error.code, "ECONNRESET");
}

for (const end of ["client", "server"] as const) {
  for (const busy of [false, true]) {
    const of = `of the ${end}${busy ? ", busy" : ""}`;
    const open = async () => {
      const sockets = await pair();
      const ours = sockets[end];
      const peer = sockets[end === "client" ? "server" : "client"];
      let sent = 0;
      while (busy && sent < 400) sent += await ours.write(streamBytes(sent, 10));
      return { sockets, ours, peer, sent };
    };

    test(
      `close: after a write that timed out, all that was counted arrives, or a reset: ${of}`,
      skip(noReset),
      async () => {
        const { sockets, ours, peer, sent } = await open();
        using _ = sockets;
        await assertRejects(
          () => ours.write(streamBytes(sent, tooMuch), { timeout: 200 }),
          TimeoutError,
        );
        ours.close();
        const [size, error] = await readOn(peer);
        // What looks whole has every byte that was counted.
        if (error === undefined) assertEquals(size, ours.bytesWritten);
        else assertReset(error);
      },
    );

    test(`close: while a write waits, the peer sees a reset: ${of}`, skip(noReset), async () => {
      const { sockets, ours, peer, sent } = await open();
      using _ = sockets;
      const written = ours.write(streamBytes(sent, tooMuch)).catch((error) => error);
      await sleep(50);
      ours.close();
      const error = await written;
      assertInstanceOf(error, SocketError);
      assertEquals(error.code, "ECANCELED");
      assertReset((await readOn(peer))[1]);
    });

    test(`close: a small write that nobody waited for arrives, and then the end: ${of}`, async () => {
      const { sockets, ours, peer, sent } = await open();
      using _ = sockets;
      ours.write(streamBytes(sent, 100)).catch(() => {});
      ours.close();
      assertEquals(await readOn(peer), [sent + 100, undefined]);
    });

    test(`close: after a write that timed out and was caught up with, a clean end: ${of}`, async () => {
      const { sockets, ours, peer, sent } = await open();
      using _ = sockets;
      const { bytesWritten = 0 } = await assertRejects(
        () => ours.write(streamBytes(sent, tooMuch), { timeout: 200 }),
        TimeoutError,
      );
      const reading = readOn(peer);
      await ours.write(streamBytes(sent + bytesWritten, 10));
      ours.close();
      assertEquals(await reading, [sent + bytesWritten + 10, undefined]);
    });
  }
}

test("close: of a loop of writes that has to let the event loop turn loses nothing", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const reading = readOn(server);
  const until = performance.now() + 100;
  let sent = 0;
  while (performance.now() < until) sent += await client.write(streamBytes(sent, 10));
  const last = client.write(streamBytes(sent, 10)).catch(() => 0);
  client.close();
  assertEquals(await reading, [sent + 10, undefined]);
  await last;
});
