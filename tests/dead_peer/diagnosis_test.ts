import process from "node:process";
import { test } from "node:test";
import { assert, assertInstanceOf, assertMatch } from "@std/assert";
import { capabilities, connect, listen, type TcpConnection, TimeoutError } from "@holdfast/tcp";
import { hangingAddress, pair, spawnRuntime, testFile } from "../contract/support.ts";
import { skip } from "../support/skip.ts";

// The diagnoses with a peer that is gone are in diagnosis_rows.ts.

const { tcpInfo } = capabilities().options;
const blind = skip(tcpInfo.get === "none" ? tcpInfo.reason : undefined);

async function diagnosisOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(() => undefined, (error: unknown) => error);
  assertInstanceOf(error, TimeoutError);
  assert(error.message.endsWith(`: ${error.diagnosis}`), error.message);
  return error.diagnosis!;
}

const read = (socket: TcpConnection) => socket.read(new Uint8Array(16), { timeout: 300 });

test("diagnosis: the peer acknowledged everything and is silent", blind, async () => {
  using ends = await pair();
  await ends.client.write(new Uint8Array(10));
  const diagnosis = await diagnosisOf(read(ends.client));
  assertMatch(diagnosis, /acknowledged everything and is silent \(last heard from \d+ ms ago\)$/);
});

test("diagnosis: the peer's receive window is closed", blind, async () => {
  using ends = await pair({ listen: { receiveBufferSize: 4096 } });
  const write = ends.client.write(new Uint8Array(16_000_000), { timeout: 1_000 });
  assertMatch(await diagnosisOf(write), /receive window is closed \(last heard from \d+ ms ago\)$/);
});

test("diagnosis: this process's event loop was blocked, with data waiting", blind, async () => {
  using ends = await pair();
  const pending = diagnosisOf(read(ends.client));
  await ends.server.write(new Uint8Array(0));
  const end = performance.now() + 800;
  while (performance.now() < end);
  const [, late] = /blocked for (\d+) ms; the peer acknowledged/.exec(await pending) ?? [];
  assert(Number(late) > 300 && Number(late) < 2_000, `blocked for ${late} ms`);
});

test("diagnosis: no word about the event loop when it was not blocked", blind, async () => {
  using ends = await pair();
  for (let i = 0; i < 5; i++) {
    // A busy machine may delay a timer, but not every time.
    if (!(await diagnosisOf(read(ends.client))).includes("event loop")) return;
  }
  throw new Error("Blocked each time");
});

test("diagnosis: SYN unanswered", blind, async () => {
  using address = await hangingAddress();
  const { hostname, port } = address;
  assertMatch(await diagnosisOf(connect({ hostname, port, timeout: 300 })), /SYN unanswered$/);
  const resent = /SYN unanswered \(sent again 1 time\)$/;
  assertMatch(await diagnosisOf(connect({ hostname, port, timeout: 1_700 })), resent);
});

test("diagnosis: nothing is claimed of an attempt that the kernel does not know", async () => {
  using address = await hangingAddress();
  const { port } = address;
  const name = "localhost";
  const diagnosis = await diagnosisOf(connect({ hostname: name, port, timeout: 300 }));
  // When Deno dials a name, it is not known which socket is dialling.
  assertMatch(diagnosis, /(SYN unanswered|no answer yet)$/);
});

test("diagnosis: a live listener has not failed to answer", async () => {
  using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: null });
  const { port } = listener.addr;
  for (let i = 0; i < 20; i++) {
    const attempt = connect({ hostname: "127.0.0.1", port, timeout: 5 });
    // The event loop is blocked, so the answer is noticed too late.
    const end = performance.now() + 10;
    while (performance.now() < end);
    const error = await attempt.then((socket) => socket.close(), (error: unknown) => error);
    if (error === undefined) continue;
    assertInstanceOf(error, TimeoutError);
    assert(!error.message.includes("unanswered"), error.message);
  }
});

// These flags forbid FFI. Bun has no such flag.
const without = "Deno" in globalThis ? "--deny-ffi" : "--no-experimental-ffi";
const reason = process.versions.bun === undefined
  ? undefined
  : "this runtime has no flag that takes FFI away";

test("diagnosis: says so when the kernel is out of reach", skip(reason), async () => {
  const script = testFile("../dead_peer/programs/timeout.ts");
  using address = await hangingAddress();
  const { output } = await spawnRuntime(without, [script, String(address.port)]);
  assertMatch(output, /: what the kernel knows is out of reach: \S+/);
  assertMatch(output, /: no answer yet; what the kernel knows is out of reach: \S+/);
});
