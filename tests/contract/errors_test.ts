import { readFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertStrictEquals,
} from "@std/assert";
import { getAvailablePort } from "@std/net";
import {
  capabilities,
  connect,
  DeadPeerError,
  listen,
  SocketError,
  TimeoutError,
  UnsupportedOptionError,
} from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { noTables, pair, patience, readExactly, sleep, spawnRuntime, testFile } from "./support.ts";
import { assertCode, errorOf, noIpv6 } from "./support_listen.ts";
import { noNamespace, unshare, works } from "./support_namespace.ts";

const hostname = "127.0.0.1";
const timeout = patience;
const resetSkip = skip(
  capabilities().options.reset.set === "none"
    ? `reset: ${capabilities().options.reset.reason}`
    : undefined,
);

/** All properties of a SocketError. */
function assertSays(
  error: SocketError,
  code: string,
  operation: string,
  address: { hostname: string; port: number },
): void {
  assertEquals([error.name, error.code, error.operation], ["SocketError", code, operation]);
  assertEquals({ ...error.address! }.hostname, address.hostname);
  assertEquals({ ...error.address! }.port, address.port);
  assertInstanceOf(error.cause, Error, "the cause is the runtime's own error");
  assert(!(error.cause instanceof SocketError), "the cause is one of ours");
  const host = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
  const start = `Cannot ${operation} ${
    operation === "listen" ? "on" : operation === "read" ? "from" : "to"
  } `;
  assert(error.message.startsWith(`${start}${host}:${address.port}: `), error.message);
  assert(error.message.endsWith(`(${code})`), error.message);
}

test("errors: ECONNREFUSED", async () => {
  const port = getAvailablePort();
  const error = await assertCode(connect({ hostname, port, timeout }), "ECONNREFUSED");
  assertSays(error, "ECONNREFUSED", "connect", { hostname, port });
});

test("errors: ECONNREFUSED over IPv6", skip(noIpv6), async () => {
  const port = getAvailablePort();
  const error = await assertCode(connect({ hostname: "[::1]", port, timeout }), "ECONNREFUSED");
  assertSays(error, "ECONNREFUSED", "connect", { hostname: "::1", port });
});

test("errors: ECONNREFUSED of every address of a name", async () => {
  const port = getAvailablePort();
  const error = await assertCode(
    connect({ hostname: "localhost", port, timeout }),
    "ECONNREFUSED",
  );
  assertSays(error, "ECONNREFUSED", "connect", { hostname: "localhost", port });
});

test("errors: EADDRINUSE", async () => {
  using listener = await listen({ hostname, port: 0, timeout });
  const { port } = listener.addr;
  const error = await assertCode(listen({ hostname, port, timeout }), "EADDRINUSE");
  assertSays(error, "EADDRINUSE", "listen", { hostname, port });
});

test("errors: EADDRNOTAVAIL", async () => {
  // No machine has this address (RFC 5737).
  const address = { hostname: "192.0.2.1", port: getAvailablePort() };
  const error = await assertCode(listen({ ...address, timeout }), "EADDRNOTAVAIL");
  assertSays(error, "EADDRNOTAVAIL", "listen", address);
});

test("errors: a name that does not exist", async () => {
  // This name never exists (RFC 6761). Without a name server the system cannot be sure of that.
  const address = { hostname: "nobody.invalid", port: 80 };
  const error = await errorOf(connect({ ...address, timeout }));
  assertInstanceOf(error, SocketError);
  assertMatch(error.code, /^(ENOTFOUND|EAI_AGAIN)$/);
  assertSays(error, error.code, "connect", address);
});

/** The lowest port that needs no privilege. */
function firstFreePort(): number {
  try {
    return Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
  } catch {
    return 1_024;
  }
}

/** Root in another user namespace has no privileges here. */
const unprivileged = process.getuid?.() === 0 ? ["unshare", "--user"] : [];
const privileged = noTables ??
  (firstFreePort() <= 1 ? "no port needs a privilege here" : undefined) ??
  (works([...unprivileged, "true"]) ? undefined : "runs as root, whom no port is denied");

test("errors: EACCES", skip(privileged), async () => {
  await assertFails("EACCES", "listen", { hostname, port: 1 }, unprivileged);
});

/** The error that another process gets, which is started through a command. */
async function assertFails(
  code: string,
  operation: "connect" | "listen",
  address: { hostname: string; port: number },
  through: string[],
): Promise<void> {
  const args = [operation, JSON.stringify({ ...address, timeout })];
  const program = testFile("programs/fail.ts");
  const { output } = await spawnRuntime(program, args, 2 * patience, { through });
  assertEquals(JSON.parse(output), { name: "SocketError", code, operation, address, cause: true });
}

test("errors: ECONNRESET ends reading, and again", resetSkip, async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const reading = errorOf(client.read(new Uint8Array(8)));
  await sleep(20);
  server.reset();
  const error = await reading;
  assertInstanceOf(error, SocketError);
  assert(!(error instanceof DeadPeerError), "a peer that resets is alive");
  assertSays(error, "ECONNRESET", "read", client.remoteAddr);
  for (let i = 0; i < 2; i++) {
    const again = await assertCode(client.read(new Uint8Array(8)), "ECONNRESET");
    assertEquals(again.operation, "read");
  }
});

test("errors: writing to a peer that has gone is EPIPE or ECONNRESET", resetSkip, async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  server.reset();
  await sleep(50);
  let error: unknown;
  // A runtime may accept a write or two before it notices the reset.
  for (let i = 0; i < 20 && error === undefined; i++) {
    error = await client.write(new Uint8Array(8)).then(() => undefined, (error) => error);
    await sleep(10);
  }
  assertInstanceOf(error, SocketError);
  assertMatch(error.code, /^(EPIPE|ECONNRESET)$/);
  assertEquals(error.operation, "write");
  assertEquals(error.address?.port, client.remoteAddr.port);
});

test("errors: writing after closeWrite is EPIPE", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  await client.closeWrite();
  const error = await assertCode(client.write(new Uint8Array(1)), "EPIPE");
  assertEquals([error.operation, error.address?.port], ["write", client.remoteAddr.port]);
  await server.write(new Uint8Array([4]));
  assertEquals(await readExactly(client, 1), new Uint8Array([4]));
});

/** Without a route, and with one that leads nowhere. */
for (
  const [code, script] of [
    ["ENETUNREACH", 'exec "$@"'],
    ["EHOSTUNREACH", 'ip route add unreachable 192.0.2.7/32 && exec "$@"'],
  ] as const
) {
  test(`errors: ${code}`, skip(noNamespace), async () => {
    const setUp = ["sh", "-c", `ip link set lo up && ${script}`, "sh"];
    const nowhere = { hostname: "192.0.2.7", port: 7 };
    await assertFails(code, "connect", nowhere, [...unshare, ...setUp]);
  });
}

test(
  "errors: a port where nobody listens refuses, and never connects to itself",
  skip(noNamespace),
  async () => {
    const setUp = "ip link set lo up && echo 40000 40003 > /proc/sys/net/ipv4/ip_local_port_range";
    const through = [...unshare, "sh", "-c", `${setUp} && exec "$@"`, "sh"];
    const program = testFile("programs/itself.ts");
    const { output } = await spawnRuntime(program, [], 2 * patience, { through });
    assertEquals(output.trim().split("\n"), ["ECONNREFUSED", "true"]);
  },
);

test("errors: a listener goes on after a client that left at once", resetSkip, async () => {
  using listener = await listen({ hostname, port: 0, timeout });
  const { port } = listener.addr;
  for (let i = 0; i < 20; i++) (await connect({ hostname, port, timeout })).reset();
  using client = await connect({ hostname, port, timeout });
  const mine = client.localAddr.port;
  const served: number[] = [];
  while (!served.includes(mine)) {
    using server = await listener.accept({ timeout });
    served.push(server.remoteAddr.port);
  }
});

test("errors: the classes are told apart, and made by hand they say the same", () => {
  const address = { hostname: "::1", port: 5 };
  const dead = new DeadPeerError({ code: "ETIMEDOUT", operation: "read", address });
  assert(dead instanceof SocketError && dead instanceof Error);
  assertEquals([dead.name, dead.code], ["DeadPeerError", "ETIMEDOUT"]);
  assertMatch(dead.message, /^Cannot read from \[::1\]:5: .+ \(ETIMEDOUT\)$/);
  const late = new TimeoutError({ operation: "write", timeout: 7, address, bytesWritten: 3 });
  assert(!((late as Error) instanceof SocketError));
  assertEquals([late.name, late.code, late.timeout, late.bytesWritten], [
    "TimeoutError",
    "ETIMEDOUT",
    7,
    3,
  ]);
  const cause = new Error("below");
  const error = new SocketError({ code: "EPIPE", operation: "write", address, cause });
  assertStrictEquals(error.cause, cause);
  assert(!("cause" in new SocketError({ code: "EPIPE", operation: "write" })));
  const unsupported = new UnsupportedOptionError({
    option: "userTimeout",
    runtime: "some 1.0",
    system: "plan9",
    reason: "it has none",
    remedy: "take another",
  });
  assertEquals(
    unsupported.message,
    "Cannot use 'userTimeout' in some 1.0 on plan9: it has none; take another",
  );
});
