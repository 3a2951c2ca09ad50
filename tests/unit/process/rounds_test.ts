import diagnostics from "node:diagnostics_channel";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { test } from "node:test";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { connect, constants, getsockopt, guard, listen, sockets } from "@holdfast/tcp";
import { startHandshake } from "../../../src/kernel/handshake.ts";
import { deadPeerObstacle } from "../../../src/options/dead_peer.ts";
import { supportedPlan } from "../../../src/options/apply.ts";
import { socketPlan } from "../../../src/options/plan.ts";
import { Rounds } from "../../../src/process/rounds.ts";
import type { SocketEntry } from "../../../src/kernel/entry.ts";
import { adapter } from "../../../src/runtime.ts";
import { TimerQueue, timers } from "../../../src/time/timers.ts";
import { hangingAddress, until } from "../../contract/support.ts";
import { skip } from "../../support/skip.ts";

const { kernel, obstacle } = adapter().loadKernel();

/** A server of `node:net`, to which `connect` opens a connection. */
async function netServer() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const open: net.Socket[] = [];
  return {
    port,
    async connect() {
      const client = net.connect(port, "127.0.0.1");
      const [[accepted]] = await Promise.all([once(server, "connection"), once(client, "connect")]);
      open.push(client, accepted);
    },
    [Symbol.dispose]() {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}

test(
  "a guard whose filter throws at once leaves nothing behind",
  skip(deadPeerObstacle()?.reason),
  async () => {
    using server = await netServer();
    await server.connect();
    const queue = new TimerQueue({ now: () => 0, start: () => {}, stop: () => {} });
    let asked = 0;
    const matches = ({ kind }: SocketEntry) => {
      if (kind === "connection" && ++asked === 2) throw new Error("no");
      return true;
    };
    const options = supportedPlan(socketPlan({ deadPeerTimeout: 5_000 }, "guard"), {});
    const plan = { options, matches, attempt: undefined, every: 10 };
    assertThrows(() => new Rounds(kernel!, plan, queue), Error, "no");
    assertEquals([asked, queue.size], [2, 0]);
  },
);

test(
  "a guard that a subscriber closes leaves nothing behind",
  skip(deadPeerObstacle()?.reason),
  async () => {
    using server = await netServer();
    const remotePort = server.port;
    const before = timers.size;
    const guarded = guard({ match: { remotePort }, deadPeerTimeout: 3_600_000, every: 10 });
    const close = () => guarded.close();
    diagnostics.subscribe("holdfast.guard", close);
    await server.connect();
    await until(() => guarded.stats.applied === 1, "the guard has seen it");
    const left = [guarded.sockets.length, timers.size - before];
    diagnostics.unsubscribe("holdfast.guard", close);
    assertEquals(left, [0, 0]);
  },
);

test(
  "a socket of ours stays ours when a duplicate of it is closed",
  skip(obstacle?.reason),
  async () => {
    using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
    const remotePort = listener.addr.port;
    using client = await connect({ port: remotePort, timeout: 1_000, keepAlive: false });
    const options = { match: { remotePort }, every: 10, keepAlive: true };
    using first = guard(options);
    const rounds = () => new Promise((resolve) => setTimeout(resolve, 100));
    await rounds();
    const copy = kernel!.dup(sockets({ remotePort })[0]!.fd);
    await rounds();
    kernel!.close(copy);
    await rounds();
    using second = guard(options);
    assertEquals([first.stats.seen, second.stats.seen], [0, 0]);
    assertEquals(client.getOptions().keepAlive, false);
  },
);

test("a socket is guarded as long as a descriptor is open", skip(obstacle?.reason), async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port: remotePort } = server.address() as AddressInfo;
  const files = [0, 1].map(() => kernel!.dup(0));
  const fd = startHandshake(kernel!, "127.0.0.1", remotePort);
  const [accepted] = await once(server, "connection");
  using guarded = guard({ match: { remotePort }, every: 10, keepAlive: true });
  const descriptors = () => guarded.sockets.map(({ fd }) => fd);
  assertEquals(descriptors(), [fd]);
  // It has a lower number, and a round sees it before the other one is closed.
  kernel!.close(files[0]!);
  const copy = kernel!.dup(fd);
  assert(copy < fd);
  await new Promise((resolve) => setTimeout(resolve, 100));
  kernel!.close(fd);
  await until(() => descriptors().join() === String(copy), "the other descriptor is noticed");
  assertEquals(guarded.stats.seen, 1);
  kernel!.close(copy);
  await until(() => descriptors().length === 0, "the end is noticed");
  kernel!.close(files[1]!);
  accepted.destroy();
  server.close();
});

test(
  "nothing is left of a connection that is closed before the next round",
  skip(deadPeerObstacle()?.reason),
  async () => {
    const server = net.createServer((accepted) => accepted.resume()).listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port: remotePort } = server.address() as AddressInfo;
    const before = timers.size;
    using _ = guard({ match: { remotePort }, deadPeerTimeout: 3_600_000, every: 1_000 });
    for (let i = 0; i < 20; i++) {
      const client = net.connect(remotePort, "127.0.0.1");
      await once(client, "connect");
      // By then the guard has heard of it, where the runtime publishes it.
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      client.destroy();
    }
    // Of each there was an alarm, which rings in half an hour.
    await until(() => timers.size <= before + 1, "no alarm is left but the guard's");
    server.close();
  },
);

test(
  "a guard that is closed takes the limit of an attempt to connect back",
  skip(deadPeerObstacle()?.reason),
  async () => {
    using hanging = await hangingAddress();
    const fd = startHandshake(kernel!, hanging.hostname, hanging.port);
    const limit = () =>
      getsockopt({ fd }, constants.IPPROTO_TCP!, constants.TCP_USER_TIMEOUT!).join();
    const match = { localAddress: "127.0.0.0/8" };
    const guarded = guard({ match, deadPeerTimeout: 2_570, every: 10 });
    assertEquals(limit(), "10,10,0,0");
    guarded.close();
    assertEquals(limit(), "0,0,0,0");
    kernel!.close(fd);
  },
);
