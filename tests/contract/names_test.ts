/** Every bad name, and a lack of descriptors, is a SocketError with the same code in every runtime. */

import { networkInterfaces } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { assertEquals } from "@std/assert";
import { connect, listen, SocketError, sockets } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { cannotSet, patience, spawnRuntime, testFile } from "./support.ts";
import { noIpv6, noKernel } from "./support_listen.ts";

/** The result for a name: the code of the error, or the address of the listener. */
async function outcomes(hostname: string): Promise<string[]> {
  const calls = [
    () => connect({ hostname, port: 1, timeout: patience }),
    () => listen({ hostname, port: 0, timeout: patience }),
    ...cannotSet("reuseAddress")
      ? []
      : [() => listen({ hostname, port: 0, timeout: patience, reuseAddress: false })],
  ];
  return await Promise.all(calls.map(async (call) => {
    try {
      using socket = await call();
      return "addr" in socket ? socket.addr.hostname : "connected";
    } catch (error) {
      return error instanceof SocketError ? error.code : String(error);
    }
  }));
}

const never = [
  ...["localhost:80", "a..b", ".", "..", "*", "%", "%lo", "a%b", "127.0.0.1.", "127.0.0.1%lo"],
  ...["user@host", "http:", "a?b", "a#b", "a\\b", "<a>", "a,b", "::g", ":::", "1::2::3", "a\x7f"],
  ...["a".repeat(64), "a.".repeat(200), "é@b", "。", "\ud800", "é%b", "ab".repeat(500)],
];

for (const name of never) {
  const shown = JSON.stringify(name).slice(0, 30);
  test(`names: nobody can have ${shown}, which is ENOTFOUND without asking anybody`, async () => {
    assertEquals(new Set(await outcomes(name)), new Set(["ENOTFOUND"]));
  });
}

test("names: one that only looks international has no address either", async () => {
  // Where no name server can be reached, some runtimes ask for one.
  const outcome = await outcomes("xn--a.invalid");
  assertEquals(
    new Set(outcome.map((code) => code.replace("EAI_AGAIN", "ENOTFOUND"))),
    new Set(["ENOTFOUND"]),
  );
});

const same: Record<string, [connect: string, listen: string]> = {
  "LOCALHOST": ["ECONNREFUSED", "127.0.0.1"],
  "127.1": ["ECONNREFUSED", "127.0.0.1"],
  "１２７.0。0．1": ["ECONNREFUSED", "127.0.0.1"],
  ...noIpv6 ? {} : {
    "::1%lo": ["ECONNREFUSED", "::1"],
    "::1%1": ["ECONNREFUSED", "::1"],
    "[::1]": ["ECONNREFUSED", "::1"],
    "fe80::1%999999": ["ENETUNREACH", "ENODEV"],
  },
};

for (const [name, [connected, listens]] of Object.entries(same)) {
  test(`names: ${name} is what it means everywhere`, async () => {
    const [first, ...rest] = await outcomes(name);
    // "localhost" may stand for ::1 as well, first or second.
    const plain = (outcome: string) =>
      name === "LOCALHOST" && outcome === "::1" ? listens : outcome;
    assertEquals([first, ...new Set(rest.map(plain))], [connected, listens]);
  });
}

const [interfaceName, entry] = Object.entries(networkInterfaces())
  .flatMap(([name, entries]) => (entries ?? []).map((entry) => [name, entry] as const))
  .find(([, { address }]) => address.startsWith("fe80:")) ?? [];
const noLinkLocal = entry === undefined ? "no interface has a link-local address" : undefined;

test("names: a scope is the interface's name or its number", skip(noLinkLocal), async () => {
  const { address = "", scopeid } = entry as { address?: string; scopeid?: number } ?? {};
  for (const scope of [interfaceName, scopeid]) {
    const hostname = `${address}%${scope}`;
    using listener = await listen({ hostname, port: 0, timeout: patience });
    using client = await connect({ hostname, port: listener.addr.port, timeout: patience });
    using server = await listener.accept();
    assertEquals(server.remoteAddr.port, client.localAddr.port);
    if (noKernel !== undefined) continue;
    const filter = { remoteAddress: hostname, remotePort: listener.addr.port };
    assertEquals(sockets(filter).map(({ kind }) => kind), ["connection"]);
    assertEquals(sockets({ ...filter, remoteAddress: `${address}%999999` }), []);
  }
});

const noLimit = process.platform === "win32" ? "needs ulimit, which Windows lacks" : undefined;

test("names: without descriptors every call is EMFILE", skip(noLimit), async () => {
  const { output } = await spawnRuntime(testFile("programs/descriptors.ts"), [], 2 * patience, {
    through: ["sh", "-c", 'ulimit -n 90; exec "$@"', "sh"],
  });
  const options = [undefined, "reuseAddress", "reusePort", "ipv6Only"] as const;
  const expected = options.filter((name) => name === undefined || cannotSet(name) === undefined);
  assertEquals(JSON.parse(output), [
    "connect: SocketError EMFILE",
    ...expected.map((name) => `listen ${name}: SocketError EMFILE`),
    "listen again: true",
  ]);
});
