/** Sockets for clients of other libraries: dialled by this one, with a limit and options. */

import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import http from "node:http";
import https from "node:https";
import type net from "node:net";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import {
  connect,
  connector,
  type ConnectorOptions,
  type ConnectorTarget,
  getOptions,
  listen,
  SocketError,
  TimeoutError,
  UnsupportedOptionError,
} from "@holdfast/tcp";
import { ca } from "../support/certificate.ts";
import { addressOnly } from "../support/other_certificates.ts";
import { skip } from "../support/skip.ts";
import { webServer } from "../support/web.ts";
import { hangingAddress, openDescriptors, patience, socketsOf, until, within } from "./support.ts";
import { noKernel, notLinux } from "./support_listen.ts";

const timeout = patience;
const keepAlive = { idle: 61_000, interval: 7_000, count: 4 };

/** The result of a connector for a target. */
function open(options: ConnectorOptions, target: ConnectorTarget): Promise<net.Socket> {
  return new Promise((resolve, reject) =>
    connector(options)(target, (error, socket) => error === null ? resolve(socket) : reject(error))
  );
}

async function get(agent: http.Agent, port: number, secure: boolean): Promise<string> {
  const [module, options] = secure
    ? [https, { ca, servername: "localhost" }] as const
    : [http, {}] as const;
  return await new Promise<string>((resolve, reject) => {
    const request = module.get({ host: "127.0.0.1", port, agent, ...options }, (response) => {
      let text = "";
      response.on("data", (data) => text += data);
      response.on("end", () => resolve(text));
    });
    request.on("error", reject);
  });
}

for (const secure of [false, true]) {
  const name = secure ? "https" : "http";
  test(`connector: a ${name}.Agent gets sockets that have the options`, {
    ...skip(notLinux),
  }, async () => {
    using server = await webServer(undefined, secure);
    const { port } = server;
    const agent = new (secure ? https : http).Agent({ keepAlive: true, maxSockets: 1 });
    const dialled: net.Socket[] = [];
    const dial = connector({ timeout, keepAlive });
    Object.assign(agent, {
      createConnection: (target: ConnectorTarget, done: (...args: unknown[]) => void) =>
        dial({ ...target, protocol: `${name}:` }, (...result) => {
          if (result[0] === null) dialled.push(result[1]);
          done(...result);
        }),
    });
    for (let i = 0; i < 3; i++) {
      assertEquals(await within(patience, get(agent as http.Agent, port, secure)), "hello");
    }
    assertEquals(dialled.length, 1);
    const [{ localPort }] = dialled as [net.Socket];
    const [row] = socketsOf(localPort!, "ESTABLISHED").filter((row) => row.localPort === localPort);
    // The kernel's own keepalive timer runs.
    assertEquals(row!.timer, 2);
    agent.destroy();
  });
}

test("connector: the options are in force, Nagle's algorithm is off", skip(noKernel), async () => {
  using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout });
  const { port } = listener.addr;
  const socket = await open({ timeout, keepAlive }, { host: "127.0.0.1", port });
  assertEquals(getOptions(socket).keepAlive, keepAlive);
  assertEquals(getOptions(socket).noDelay, true);
  socket.destroy();
  const plain = await open({ timeout, noDelay: false }, { host: "127.0.0.1", port: String(port) });
  assertEquals(getOptions(plain).noDelay, false);
  plain.destroy();
});

test("connector: one limit for all, and no socket after it", skip(notLinux), async () => {
  using hanging = await hangingAddress();
  const before = openDescriptors();
  const { hostname, port } = hanging;
  const error = await open({ timeout: 100 }, { hostname, port }).catch((error) => error);
  assert(error instanceof TimeoutError, String(error));
  assertEquals(error.operation, "connect");
  assertEquals(socketsOf(port, "SYN-SENT").length, 0);
  await until(() => openDescriptors() === before, "no descriptor is left");
});

test("connector: the limit holds for a TLS handshake that nobody answers", async () => {
  using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout });
  const { hostname, port } = listener.addr;
  const target = { hostname, port, protocol: "https:" };
  const error = await open({ timeout: 200 }, target).catch((error) => error);
  assert(error instanceof TimeoutError, String(error));
  assertMatch(error.diagnosis!, /TLS handshake/);
  using server = await listener.accept();
  // The client has gone, but its greeting can still be read.
  const into = new Uint8Array(65_536);
  const drain = async () => {
    while (await server.read(into).catch(() => null) !== null);
  };
  await within(patience, drain());
});

const noIpv6 = Object.values(networkInterfaces()).flat().some((one) => one?.address === "::1")
  ? undefined
  : "there is no IPv6";

test("connector: a certificate for an IPv6 address is good for it", skip(noIpv6), async () => {
  const hostname = "::1";
  using listener = await listen({ hostname, port: 0, timeout, tls: addressOnly });
  const accepting = listener.accept();
  const target = { hostname, port: listener.addr.port, protocol: "https:", ca: addressOnly.cert };
  const socket = await open({ timeout }, target);
  using _server = await accepting;
  socket.destroy();
});

test("connector: refused is a SocketError", async () => {
  const closed = await listen({ hostname: "127.0.0.1", port: 0, timeout });
  const { hostname, port } = closed.addr;
  closed.close();
  const error = await open({ timeout }, { hostname, port }).catch((error) => error);
  assert(error instanceof SocketError, String(error));
  assertEquals(error.code, "ECONNREFUSED");
});

test("connector: bad input", () => {
  assertThrows(() => connector({} as never), TypeError, "timeout");
  assertThrows(() => connector({ timeout: 0 }), RangeError, "timeout");
  assertThrows(() => connector({ timeout, keepalive: true } as never), TypeError, "keepalive");
  const early = () => connector({ timeout, receiveBufferSize: 65_536 });
  assertThrows(early, UnsupportedOptionError, "out of reach before its handshake");
});

test("connector: a client's port that is none is told before anything is dialled", async () => {
  for (const port of [-1, 65_536, 1.5, "x"]) {
    const failed = open({ timeout }, { host: "localhost", port });
    const error = await within(patience, failed.catch((error) => error));
    assert(error instanceof RangeError && error.message.includes("'port'"), String(error));
  }
});

test("connector: without a callback nothing is dialled, and a target that is none is told to it", async () => {
  const dial = connector({ timeout });
  assertThrows(() => dial({ port: 1 }, undefined as never), TypeError, "'callback'");
  for (const target of [undefined, null, 80]) {
    const error = await open({ timeout }, target as never).catch((error) => error);
    assertMatch(String(error), /^TypeError: Cannot connect as 'target' must be an object/);
  }
});

test("connector: a Unix socket is refused, not replaced by a TCP port", async () => {
  const target = { host: "localhost", port: 80, socketPath: "/tmp/service.sock" };
  const error = await within(patience, open({ timeout }, target).catch((error) => error));
  assert(error instanceof TypeError && error.message.includes("'socketPath'"), String(error));
});

test("connect: errors has one error for each address, with its code and time", async () => {
  const closed = await listen({ hostname: "127.0.0.1", port: 0, timeout });
  const { port } = closed.addr;
  closed.close();
  const error = await connect({ hostname: "localhost", port, timeout }).catch((error) => error);
  assert(error instanceof SocketError, String(error));
  assertEquals(error.code, "ECONNREFUSED");
  assert(error.errors.length >= 1, "no addresses");
  for (const { code, address, elapsed, operation } of error.errors) {
    assertEquals(operation, "connect");
    assertMatch(code, /^E(CONNREFUSED|ADDRNOTAVAIL|NETUNREACH)$/);
    assertMatch(address!.hostname, /^(127\.0\.0\.1|::1)$/);
    assertEquals(address!.port, port);
    assert(elapsed! >= 0 && elapsed! < timeout);
  }
  const literal = await connect({ hostname: "127.0.0.1", port, timeout }).catch((error) => error);
  assertEquals(literal.errors, []);
});
