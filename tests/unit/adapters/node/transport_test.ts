import net from "node:net";
import { test } from "node:test";
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Transport } from "../../../../src/adapter.ts";
import { adopt } from "../../../../src/adapters/node/adopt.ts";
import { sleep, until } from "../../../contract/support.ts";

interface Ends extends Disposable {
  readonly ours: net.Socket;
  readonly peer: net.Socket;
}

/** Two `net.Socket`s that are connected to each other. */
async function ends(): Promise<Ends> {
  const server = net.createServer({ allowHalfOpen: true });
  const accepted = new Promise<net.Socket>((resolve) => server.once("connection", resolve));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const ours = net.connect({ host: "127.0.0.1", port });
  await new Promise((resolve) => ours.once("connect", resolve));
  const peer = await accepted;
  peer.on("error", () => {});
  peer.resume();
  server.close();
  const dispose = () => {
    ours.destroy();
    peer.destroy();
  };
  return { ours, peer, [Symbol.dispose]: dispose };
}

/** The events of a transport as text. `bytes` counts what came before each other event. */
function listenIn(transport: Transport) {
  const told: { bytes: number; events: string[]; code: unknown } = {
    bytes: 0,
    events: [],
    code: undefined,
  };
  const event = (name: string) => told.events.push(`${name} after ${told.bytes}`);
  const failed = (name: string) => (cause: unknown) => {
    told.code = (cause as { code?: unknown }).code;
    event(name);
  };
  transport.start({
    data: (chunk) => told.bytes += chunk.length,
    end: () => event("end"),
    failed: failed("reading failed"),
  }, { drained: () => event("drained"), failed: failed("writing failed") });
  return told;
}

test("net.Socket: what it held before it was adopted comes first, then the end", async () => {
  using sockets = await ends();
  const { ours, peer } = sockets;
  peer.write(new Uint8Array(5_000));
  await until(() => ours.readableLength === 5_000, "the bytes are held");
  const transport = adopt(ours)!;
  const told = listenIn(transport);
  peer.end(new Uint8Array(1));
  await sleep(20);
  assertEquals([told.bytes, told.events], [0, []], "nobody has asked for anything");
  transport.pull();
  await until(() => told.events.length > 0, "the end");
  assertEquals(told.events, ["end after 5001"]);
  // The peer has finished, but this side has not.
  assertEquals(ours.writableEnded, false);
});

test("net.Socket: what has arrived when a write fails is read before the error", async () => {
  using sockets = await ends();
  const { ours, peer } = sockets;
  const transport = adopt(ours)!;
  const told = listenIn(transport);
  peer.write(new Uint8Array(1));
  transport.pull();
  await until(() => told.bytes === 1, "the first byte");
  transport.pause();
  peer.write(new Uint8Array(9_999));
  await sleep(100);
  peer.resetAndDestroy();
  const failures = () => told.events.filter((event) => !event.startsWith("drained"));
  await until(() => {
    if (failures().length === 0 && !transport.writing) transport.write(new Uint8Array(1));
    return failures().length > 0;
  }, "the failure of a write");
  await sleep(20);
  transport.pull();
  await until(() => failures().length > 1, "the failure of reading");
  const [writing, reading = ""] = failures();
  assertEquals(writing, "writing failed after 1");
  // Deno's resets send FIN first.
  assert(["reading failed after 10000", "end after 10000"].includes(reading), reading);
});

test("net.Socket: a write that has to wait says so, and when it is over", async () => {
  using sockets = await ends();
  const { ours, peer } = sockets;
  const transport = adopt(ours)!;
  const told = listenIn(transport);
  peer.pause();
  const data = new Uint8Array(2 ** 25);
  const taken = transport.write(data);
  assertEquals([transport.writing, told.events], [true, []]);
  assert(taken < data.length, "what the caller may reuse is not taken whole");
  let arrived = 0;
  peer.on("data", (chunk) => arrived += chunk.length);
  peer.resume();
  await until(() => !transport.writing && arrived === taken, "all has arrived");
  assertEquals(told.events, ["drained after 0"]);
});

test("net.Socket: a short write that the kernel takes is over at once", async () => {
  using sockets = await ends();
  const { ours, peer } = sockets;
  const transport = adopt(ours)!;
  listenIn(transport);
  let arrived = "";
  peer.on("data", (chunk) => arrived += chunk);
  const data = new Uint8Array(3);
  // The caller may reuse the memory after every call.
  for (const byte of [97, 98, 99]) {
    assertEquals(transport.write(data.fill(byte)), 3);
    assertEquals(transport.writing, false);
  }
  await until(() => arrived.length === 9, "all has arrived");
  assertEquals(arrived, "aaabbbccc");
});

test("net.Socket: after close it tells nothing, and a late error harms nobody", async () => {
  using sockets = await ends();
  const { ours, peer } = sockets;
  const transport = adopt(ours)!;
  const told = listenIn(transport);
  transport.pull();
  transport.close();
  transport.close();
  peer.write(new Uint8Array(10));
  ours.emit("error", new Error("late"));
  await until(() => ours.destroyed, "it is closed");
  assertEquals([told.events, told.bytes], [[], 0]);
});

test("net.Socket: only an open TCP socket that yields bytes is adopted", async () => {
  assertEquals(adopt({}), undefined);
  assertEquals(adopt(new net.Socket()), undefined);
  using sockets = await ends();
  const { ours, peer } = sockets;
  ours.setEncoding("utf8");
  assertThrows(() => adopt(ours), TypeError, "current value is utf8");
  listenIn(adopt(peer)!);
  peer.destroy();
  assertEquals(adopt(peer), undefined);
});
