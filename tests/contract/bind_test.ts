/** Bind-time options of a listener read back from the kernel, and errors that say who has a port. */

import { test } from "node:test";
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import process from "node:process";
import { connect, listen, SocketError } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { cannotSet, firstLine, patience, startRuntime, testFile } from "./support.ts";
import { noIpv6, noKernel, notLinux, timeWaitPort } from "./support_listen.ts";

const hostname = "127.0.0.1";
const timeout = patience;

test("getOptions of a listener: what bind was told", {
  ...skip(noKernel ?? cannotSet("reuseAddress") ?? cannotSet("reusePort")),
}, async () => {
  for (const reuseAddress of [true, false]) {
    for (const reusePort of [true, false]) {
      using listener = await listen({ hostname, port: 0, timeout, reuseAddress, reusePort });
      const read = listener.getOptions();
      assertEquals(read.reuseAddress, reuseAddress);
      assertEquals(read.reusePort, reusePort);
      assertEquals("ipv6Only" in read, false);
      using client = await connect({ port: listener.addr.port, timeout });
      assertEquals("reuseAddress" in client.getOptions(), false);
    }
  }
});

test("getOptions of a listener: ipv6Only", {
  ...skip(noKernel ?? noIpv6 ?? cannotSet("ipv6Only")),
}, async () => {
  for (const ipv6Only of [true, false]) {
    using listener = await listen({ hostname: "::", port: 0, timeout, ipv6Only });
    assertEquals(listener.getOptions().ipv6Only, ipv6Only);
  }
});

async function taken(port: number, reuseAddress: boolean = true): Promise<string> {
  const error = await assertRejects(
    () => listen({ hostname, port, timeout, reuseAddress }),
    SocketError,
  ) as SocketError;
  assertEquals(error.code, "EADDRINUSE");
  return error.message;
}

test("EADDRINUSE: says that this process has the port", skip(notLinux), async () => {
  using listener = await listen({ hostname, port: 0, timeout });
  assertMatch(await taken(listener.addr.port), /: this process listens there \(EADDRINUSE\)$/);
});

test("EADDRINUSE: says which other process has the port", skip(notLinux), async () => {
  const child = startRuntime(testFile("programs/listener.ts"), [
    JSON.stringify({ hostname, port: 0, timeout }),
  ]);
  try {
    const port = Number(await firstLine(child));
    const message = await taken(port);
    assertMatch(message, new RegExp(`: process ${child.pid} \\(\\S+\\) listens there`));
    assertEquals(process.pid === child.pid, false);
  } finally {
    child.kill("SIGKILL");
  }
});

test("EADDRINUSE: says that what is left is in TIME_WAIT", {
  ...skip(notLinux ?? cannotSet("reuseAddress")),
}, async () => {
  const port = await timeWaitPort();
  assertMatch(await taken(port, false), /in TIME_WAIT, and reuseAddress is false/);
});
