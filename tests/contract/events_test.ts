/** What the library publishes on diagnostics channels. */

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { test } from "node:test";
import { assert, assertEquals, assertInstanceOf } from "@std/assert";
import { connect, guard, type SocketEntry, TimeoutError } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { hangingAddress, pair, patience, within } from "./support.ts";
import { noKernel } from "./support_listen.ts";

/** Collects the messages of a channel. */
function listenTo<Message>(name: string): Disposable & { messages: Message[] } {
  const messages: Message[] = [];
  const listener = (message: unknown) => void messages.push(message as Message);
  subscribe(name, listener);
  return { messages, [Symbol.dispose]: () => void unsubscribe(name, listener) };
}

test("every timeout is published, with its diagnosis", async () => {
  using channel = listenTo<{ error: TimeoutError }>("holdfast.timeout");
  using ends = await pair();
  const read = await ends.client.read(new Uint8Array(1), { timeout: 10 }).catch((error) => error);
  const accept = await ends.listener.accept({ timeout: 10 }).catch((error) => error);
  using nowhere = await hangingAddress();
  const dialled = await connect({ hostname: nowhere.hostname, port: nowhere.port, timeout: 50 })
    .catch((error) => error);
  assertEquals(channel.messages.map(({ error }) => error), [read, accept, dialled]);
  for (const error of [read, accept, dialled]) assertInstanceOf(error, TimeoutError);
  assert(typeof read.diagnosis === "string");
});

test("a subscriber may abort the call that ran out of time, and close its connection", async () => {
  using ends = await pair();
  const { client, server } = ends;
  const controller = new AbortController();
  const calls: (() => void)[] = [() => controller.abort(), () => client.close()];
  const listener = () => calls.shift()!();
  subscribe("holdfast.timeout", listener);
  try {
    const { signal } = controller;
    const late = client.read(new Uint8Array(1), { timeout: 10, signal }).catch((error) => error);
    const next = client.read(new Uint8Array(1));
    assertInstanceOf(await late, TimeoutError);
    await server.write(new Uint8Array(1));
    assertEquals(await within(patience, next), 1);
    const last = await client.read(new Uint8Array(1), { timeout: 10 }).catch((error) => error);
    assertInstanceOf(last, TimeoutError);
    const { code } = await client.read(new Uint8Array(1)).catch((error) => error);
    assertEquals(code, "EBADF");
  } finally {
    unsubscribe("holdfast.timeout", listener);
  }
});

test("guarded sockets are published", skip(noKernel), async () => {
  using channel = listenTo<{ event: string; socket: SocketEntry }>("holdfast.guard");
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  using _guarded = guard({ match: { localPort: port }, userTimeout: 31_000 });
  const [message, ...more] = channel.messages.map(({ event, socket }) => [
    event,
    socket.kind,
    socket.localAddr.port,
  ]);
  server.close();
  assertEquals([message, more], [["applied", "listener", port], []]);
});
