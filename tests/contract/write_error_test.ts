/** A write that fails because the peer has left loses nothing of what the peer sent before. */

import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { capabilities, listen, SocketError, type TcpConnection, wrap } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import {
  cannotSet,
  overTls,
  type Pair,
  pair,
  patience,
  readOn,
  sleep,
  streamBytes,
  within,
} from "./support.ts";

const noReset = cannotSet("reset");

/** Sends something and closes, like a server that refuses a request before it has read it. */
async function refuse(server: TcpConnection, size: number, unread: boolean): Promise<void> {
  if (!unread) {
    const into = new Uint8Array(65_536);
    for (let waiting = true; waiting;) {
      waiting = await server.read(into, { timeout: 30 }).then(() => true, () => false);
    }
  }
  await server.write(streamBytes(0, size));
  await sleep(20);
  if (unread) server.reset();
  else server.close();
}

/** Writes until it fails. */
async function writeOn(client: TcpConnection): Promise<unknown> {
  const data = new Uint8Array(1_000);
  for (;;) {
    const error = await client.write(data).then(() => undefined, (error) => error);
    if (error !== undefined) return error;
    await sleep(5);
  }
}

function assertGone(error: unknown, operation: string): void {
  assertInstanceOf(error, SocketError);
  assert(["EPIPE", "ECONNRESET"].includes(error.code), error.code);
  assertEquals(error.operation, operation);
}

/** Both ends are sockets of `node:net`: Deno accepts such where it sets `reusePort`. */
async function nodePair(): Promise<Pair> {
  const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience, reusePort });
  const dialled = net.connect(listener.addr.port, "127.0.0.1");
  await once(dialled, "connect");
  const client = wrap(dialled, { timeout: patience });
  const server = await listener.accept();
  const close = () => {
    client.close();
    server.close();
    listener.close();
  };
  return { listener, client, server, [Symbol.dispose]: close };
}

const reusePort = capabilities().options.reusePort.set !== "none";

const ways: Record<string, () => Promise<Pair>> = overTls
  ? { "": pair }
  : { "": pair, ", node:net": nodePair };

for (const [size, way] of [[300, ""], [40_000, ""], [300, ", node:net"]] as const) {
  const open = ways[way];
  if (open === undefined) continue;
  for (const unread of [true, false]) {
    for (const end of ["client", "server"] as const) {
      for (const busy of [false, true]) {
        const how = `${size} bytes, ${unread ? "RST" : "FIN, then RST"}, of the ${end}${
          busy ? ", busy" : ""
        }${way}`;
        test(
          `write error: what has arrived is read first, then how it ended: ${how}`,
          skip(noReset),
          async () => {
            using sockets = await open();
            const ours = sockets[end];
            const peer = sockets[end === "client" ? "server" : "client"];
            // After many writes a runtime may use direct system calls.
            for (let i = 0; busy && i < 40; i++) await ours.write(new Uint8Array(10));
            await ours.write(new Uint8Array(5_000));
            await refuse(peer, size, unread);
            await sleep(20);
            assertGone(await within(patience, writeOn(ours)), "write");
            // The read may start late.
            await sleep(50);
            const [got, error] = await readOn(ours);
            assertEquals(got, size);
            // The peer's end has arrived as well, and comes first.
            if (unread) assertGone(error, "read");
            else assertEquals(error, undefined);
            assertGone(await ours.write(new Uint8Array(1)).catch((error) => error), "write");
            const again = await ours.read(new Uint8Array(1)).catch((error) => error);
            if (unread) assertGone(again, "read");
            else assertEquals(again, null);
          },
        );
      }
    }
  }
}

test("write error: met by a write that waits, with reads on the way", skip(noReset), async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const reading = readOn(client);
  const writing = client.write(new Uint8Array(2 ** 24)).catch((error) => error);
  await sleep(50);
  await refuse(server, 300, true);
  assertGone(await within(patience, writing), "write");
  const [got, error] = await within(patience, reading);
  assertEquals(got, 300);
  assertGone(error, "read");
});
