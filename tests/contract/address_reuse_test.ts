/**
 * A peer that resets a connection and dials again from the same port has a connection with the same
 * addresses and ports. The object of the old connection must not change the new one.
 */

import { once } from "node:events";
import net from "node:net";
import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import { listen, type TcpConnection, wrap } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { noKernel } from "./support_listen.ts";
import { cannotSet, patience, readExactly, sleep, streamBytes, within } from "./support.ts";

const noReset = cannotSet("reset");

interface Ends extends Disposable {
  peer: TcpConnection;
  accepted: TcpConnection;
}

/** Opens the old connection, calls `use` with it, and opens the new one. */
async function again(use: (ends: Ends) => Promise<unknown>): Promise<{ old: Ends; now: Ends }> {
  using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: patience });
  const dial = async (localPort?: number): Promise<Ends> => {
    const { hostname, port } = listener.addr;
    const socket = net.connect({ host: hostname, port, ...localPort && { localPort } });
    await once(socket, "connect");
    const peer = wrap(socket, { timeout: patience });
    const accepted = await listener.accept();
    const close = () => [peer, accepted].forEach((end) => end.close());
    return { peer, accepted, [Symbol.dispose]: close };
  };
  for (let tries = 1;; tries++) {
    const old = await dial();
    await use(old);
    old.peer.reset();
    await sleep(20);
    try {
      const now = await dial(old.peer.localAddr.port);
      assertEquals(now.accepted.remoteAddr, old.accepted.remoteAddr);
      await sleep(20);
      return { old, now };
    } catch (error) {
      // If another program's connection in TIME_WAIT has the port as well, another port is tried.
      if (code(error) !== "EADDRINUSE" || tries === 50) throw error;
      old[Symbol.dispose]();
    }
  }
}

const code = (error: unknown) => (error as { code?: string }).code ?? String(error);

for (const writes of [0, 15]) {
  test(
    `again: after ${writes} writes on the old connection, no write of it reaches the new one`,
    skip(noReset),
    async () => {
      const { old, now } = await again(async ({ accepted }) => {
        for (let i = 0; i < writes; i++) await accepted.write(new Uint8Array(1));
      });
      using _old = old, _now = now;
      for (let i = 0; i < 20; i++) await old.accepted.write(Uint8Array.of(1)).catch(code);
      await now.accepted.write(Uint8Array.of(2));
      assertEquals([...await readExactly(now.peer, 1)], [2]);
    },
  );
}

test("again: no read of the old connection takes bytes of the new one", skip(noReset), async () => {
  const large = 65_536;
  const { old, now } = await again(async ({ peer, accepted }) => {
    const sent = peer.write(new Uint8Array(30 * large));
    // After this many writes, the next one would be the first that is sent directly.
    for (let i = 0; i < 15; i++) await accepted.read(new Uint8Array(large));
    await Promise.race([sent, sleep(50)]);
    sent.catch(() => {});
  });
  using _old = old, _now = now;
  const data = streamBytes(1, 100_000);
  const sent = now.peer.write(data);
  for (let i = 0; i < 3; i++) {
    const into = new Uint8Array(large);
    await within(patience, old.accepted.read(into).catch(code));
    assert(into.every((byte) => byte === 0));
  }
  assertEquals(await readExactly(now.accepted, data.length), data);
  await sent;
});

test(
  "again: reset and options of the old connection leave the new one alone",
  skip(noReset ?? noKernel),
  async () => {
    const { old, now } = await again(() => Promise.resolve());
    using _old = old, _now = now;
    const before = now.accepted.getOptions();
    try {
      old.accepted.setOptions({ noDelay: !before.noDelay });
    } catch {
      // In some runtimes it is closed already.
    }
    assertEquals(now.accepted.getOptions(), before);
    old.accepted.reset();
    await now.peer.write(Uint8Array.of(7));
    assertEquals([...await readExactly(now.accepted, 1)], [7]);
  },
);
