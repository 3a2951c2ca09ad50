/** The main features in a few steps, for emulated processors, on which the other tests take too long. */

import { test } from "node:test";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { onlySupported, type SocketOptions, TimeoutError } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { cannotSet, pair, readExactly } from "./support.ts";
import { noKernel } from "./support_listen.ts";

test("smoke: bytes arrive, and a limit ends the wait but keeps the data", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  assertEquals(client.localAddr.port, server.remoteAddr.port);
  const error = await assertRejects(
    () => client.read(new Uint8Array(8), { timeout: 20 }),
    TimeoutError,
  );
  assert(error.connectionUsable);
  assertEquals(await server.write(Uint8Array.of(1, 2, 3)), 3);
  assertEquals(await readExactly(client, 3), Uint8Array.of(1, 2, 3));
  await server.closeWrite();
  assertEquals(await client.read(new Uint8Array(8)), null);
});

const values: SocketOptions = {
  keepAlive: { idle: 47_000, interval: 7_000, count: 3 },
  userTimeout: 31_000,
  noDelay: false,
  typeOfService: 0x10,
  hopLimit: 33,
  linger: 0,
  notSentLowWaterMark: 17_000,
};

test("smoke: options are in force on both ends", skip(noKernel), async () => {
  const wanted = onlySupported(values);
  using sockets = await pair({ listen: wanted, connect: wanted });
  for (const socket of [sockets.client, sockets.server]) {
    const found = socket.getOptions();
    const same = Object.keys(wanted).map((name) => [name, found[name as keyof SocketOptions]]);
    assertEquals(Object.fromEntries(same), wanted);
  }
});

const noWatch = cannotSet("deadPeerTimeout");

test("smoke: the settings of deadPeerTimeout reach the kernel", skip(noWatch), async () => {
  using sockets = await pair({ connect: { deadPeerTimeout: 20_000 } });
  const { keepAlive } = sockets.client.getOptions();
  assert(typeof keepAlive === "object" && keepAlive.idle! <= 20_000, JSON.stringify(keepAlive));
});
