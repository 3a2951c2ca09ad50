/** Dialling: source addresses, options that are set before the handshake, and retries. */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import {
  connect,
  type ConnectOptions,
  constants,
  getsockopt,
  listen,
  setsockopt,
  SocketError,
  TimeoutError,
} from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import {
  cannotSet,
  hangingAddress,
  openDescriptors,
  patience,
  sleep,
  socketsOf,
  until,
  within,
} from "./support.ts";
import { noIpv6, notLinux } from "./support_listen.ts";

const v4 = "127.0.0.1";
const timeout = patience;

async function code(promise: Promise<unknown>): Promise<string> {
  const error = await assertRejects(() => promise, SocketError);
  assertEquals((error as SocketError).operation, "connect");
  return (error as SocketError).code;
}

test("localAddress: the peer sees it", skip(notLinux ?? cannotSet("localAddress")), async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  const { port } = listener.addr;
  for (const localAddress of ["127.0.0.7", "127.1.2.3"]) {
    using client = await connect({ hostname: v4, port, timeout, localAddress });
    using server = await listener.accept();
    assertEquals(client.localAddr.hostname, localAddress);
    assertEquals(server.remoteAddr, client.localAddr);
    await client.write(new Uint8Array([1, 2, 3]));
    assertEquals(await server.read(new Uint8Array(8)), 3);
    await server.write(new Uint8Array([4]));
    assertEquals(await client.read(new Uint8Array(8)), 1);
    server.close();
    assertEquals(await client.read(new Uint8Array(8)), null);
  }
});

test("localAddress: the kernel takes the port with the peer known", {
  ...skip(notLinux),
}, async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  const { port } = listener.addr;
  using client = await connect({ hostname: v4, port, timeout, localAddress: "127.0.0.7" });
  const { IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT } = constants;
  assertEquals(getsockopt(client, IPPROTO_IP!, IP_BIND_ADDRESS_NO_PORT!)[0], 1);
  using plain = await connect({ hostname: v4, port, timeout });
  assertEquals(getsockopt(plain, IPPROTO_IP!, IP_BIND_ADDRESS_NO_PORT!)[0], 0);
});

test("localPort: taken again at once after TIME_WAIT, refused where somebody listens", {
  ...skip(notLinux ?? cannotSet("localPort")),
}, async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  using other = await listen({ hostname: v4, port: 0, timeout });
  const free = await listen({ hostname: v4, port: 0, timeout });
  const localPort = free.addr.port;
  free.close();
  for (const { addr } of [listener, other]) {
    const client = await connect({ hostname: v4, port: addr.port, timeout, localPort });
    assertEquals(client.localAddr.port, localPort);
    // The side that closes first has the connection in TIME_WAIT.
    client.close();
    const server = await (addr === listener.addr ? listener : other).accept();
    assertEquals(await server.read(new Uint8Array(1)), null);
    server.close();
  }
  await until(() => socketsOf(localPort, "TIME-WAIT").length > 0, "TIME_WAIT");
  const { port } = listener.addr;
  assertEquals(
    await code(connect({ hostname: v4, port, timeout, localPort: other.addr.port })),
    "EADDRINUSE",
  );
});

test("localAddress: one that no interface has, or of the other family", {
  ...skip(notLinux ?? cannotSet("localAddress")),
}, async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  const { port } = listener.addr;
  const before = openDescriptors();
  const from = (localAddress: string) => connect({ hostname: v4, port, timeout, localAddress });
  assertEquals(await code(from("192.0.2.55")), "EADDRNOTAVAIL");
  assertEquals(await code(from("::1")), "EAFNOSUPPORT");
  assertEquals(openDescriptors(), before);
});

test("localAddress: only addresses of its family are tried", {
  ...skip(notLinux ?? noIpv6 ?? cannotSet("localAddress")),
}, async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  using client = await connect({
    ...{ hostname: "localhost", port: listener.addr.port, timeout },
    localAddress: "127.0.0.9",
  });
  assertEquals(client.localAddr.hostname, "127.0.0.9");
});

test("interface: connects through it, or there is none", skip(cannotSet("interface")), async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  const { port } = listener.addr;
  using client = await connect({ hostname: v4, port, timeout, interface: "lo" });
  const name = getsockopt(client, constants.SOL_SOCKET!, constants.SO_BINDTODEVICE!, 16);
  assertEquals(new TextDecoder().decode(name).replace(/\0.*/, ""), "lo");
  assertEquals(await code(connect({ hostname: v4, port, timeout, interface: "none0" })), "ENODEV");
});

test("prepare: called before the handshake with a descriptor of this process", {
  ...skip(notLinux ?? cannotSet("prepare")),
}, async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  const { port } = listener.addr;
  const { IPPROTO_TCP, TCP_MAXSEG } = constants;
  const seen: number[] = [];
  using client = await connect({
    ...{ hostname: v4, port, timeout },
    prepare(socket) {
      seen.push(socket.fd);
      assertEquals(socketsOf(port, "SYN-SENT").length, 0);
      // After the handshake the peer would not learn this any more.
      setsockopt(socket, IPPROTO_TCP!, TCP_MAXSEG!, 600);
    },
  });
  using server = await listener.accept();
  assertEquals(seen.length, 1);
  assert(server.getOptions().maxSegmentSize! <= 600, `${server.getOptions().maxSegmentSize}`);
  client.close();
});

test("prepare: one that returns a promise is refused, whatever becomes of that", {
  ...skip(notLinux ?? cannotSet("prepare")),
}, async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  const prepare = () => Promise.reject(new Error("nobody hears of it"));
  const port = listener.addr.port;
  const error = await connect({ hostname: v4, port, timeout, prepare }).catch((error) => error);
  assert(error instanceof TypeError && error.message.includes("'prepare'"), String(error));
});

test("prepare: what it throws rejects, and leaves no descriptor", {
  ...skip(notLinux ?? cannotSet("prepare")),
}, async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  const before = openDescriptors();
  const mine = new Error("mine");
  const prepare = () => {
    throw mine;
  };
  const { port } = listener.addr;
  const error = await connect({ hostname: v4, port, timeout, prepare }).catch((error) => error);
  assertEquals(error, mine);
  assertEquals(openDescriptors(), before);
});

test("prepare: whatever it throws is what rejects", {
  ...skip(notLinux ?? cannotSet("prepare")),
}, async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  const { port } = listener.addr;
  const refused = Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
  for (const thrown of [undefined, null, "no", refused]) {
    for (const hostname of [v4, "localhost"]) {
      const prepare = () => {
        throw thrown;
      };
      const reasons: unknown[] = [];
      await connect({ hostname, port, timeout, retry: {}, prepare })
        .catch((error) => reasons.push(error));
      assertEquals(reasons.length, 1);
      assert(reasons[0] === thrown, String(reasons[0]));
    }
  }
});

test("prepare: an error of ours that it throws is not changed, whatever the name", {
  ...skip(notLinux ?? cannotSet("prepare")),
}, async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  const { port } = listener.addr;
  for (const hostname of [v4, "localhost"]) {
    const thrown: unknown[] = [];
    const prepare = (socket: { fd: number }) => {
      try {
        setsockopt(socket, constants.IPPROTO_TCP!, 9_999, 1);
      } catch (error) {
        thrown.push(error);
        throw error;
      }
    };
    const error = await connect({ hostname, port, timeout, prepare }).catch((error) => error);
    assert(thrown.includes(error), String(error));
  }
});

test(
  "interface: the error of one that does not exist says so",
  skip(cannotSet("interface")),
  async () => {
    const error = await connect({ hostname: v4, port: 1, timeout, interface: "none0" })
      .catch((error) => error);
    assertEquals(
      error.message,
      "Cannot connect to 127.0.0.1:1: no such network interface (ENODEV)",
    );
  },
);

test("options: the window's scale is that of the receive buffer asked for", {
  ...skip(notLinux),
}, async () => {
  using listener = await listen({ hostname: v4, port: 0, timeout });
  const { port } = listener.addr;
  // The high half of `tcpi_rcv_wscale`, which only the SYN carries.
  const scale = (socket: object) =>
    getsockopt(socket as never, constants.IPPROTO_TCP!, constants.TCP_INFO!, 16)[6]! >> 4;
  using plain = await connect({ hostname: v4, port, timeout });
  using small = await connect({
    ...{ hostname: v4, port, timeout, receiveBufferSize: 16_384 },
    ...{ typeOfService: 32, hopLimit: 9, congestionControl: "reno" },
  });
  assert(scale(plain) > 0);
  assertEquals(scale(small), 0);
  const { receiveBufferSize, typeOfService, hopLimit, congestionControl } = small.getOptions();
  assertEquals(
    { receiveBufferSize, typeOfService, hopLimit, congestionControl },
    { receiveBufferSize: 32_768, typeOfService: 32, hopLimit: 9, congestionControl: "reno" },
  );
});

test("options before the handshake: a timeout or an abort leaves no socket", {
  ...skip(notLinux ?? cannotSet("prepare")),
}, async () => {
  using hanging = await hangingAddress();
  const { hostname, port } = hanging;
  const before = openDescriptors();
  const options: ConnectOptions = { hostname, port, timeout: 100, prepare() {} };
  const late = await connect(options).catch((error) => error);
  assert(late instanceof TimeoutError, String(late));
  assertEquals(socketsOf(port, "SYN-SENT").length, 0);
  const reason = new Error("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 50);
  const aborted = await connect({ ...options, timeout, signal: controller.signal }).catch((e) => e);
  assertEquals(aborted, reason);
  assertEquals(socketsOf(port, "SYN-SENT").length, 0);
  for (const hostname of [v4, "localhost"]) {
    const controller = new AbortController();
    const { signal } = controller;
    const prepare = () => controller.abort(reason);
    const early = await connect({ ...options, hostname, timeout, prepare, signal }).catch((e) => e);
    assertEquals(early, reason);
    assertEquals(socketsOf(port, "SYN-SENT").length, 0);
  }
  await until(() => openDescriptors() === before, "no descriptor is left");
});

test("options before the handshake: many that hang keep nothing else waiting", {
  ...skip(notLinux ?? cannotSet("prepare")),
}, async () => {
  using hanging = await hangingAddress();
  using listener = await listen({ hostname: v4, port: 0, timeout });
  const { hostname, port } = hanging;
  const controller = new AbortController();
  const { signal } = controller;
  const dial = () => connect({ hostname, port, timeout: null, signal, prepare() {} });
  const many = Array.from({ length: 100 }, () => dial().catch((error) => error));
  await sleep(100);
  const healthy = { hostname: v4, port: listener.addr.port, timeout, prepare() {} };
  (await connect(healthy)).close();
  await within(patience, readFile(new URL(import.meta.url)));
  const reason = new Error("enough");
  controller.abort(reason);
  assertEquals(new Set(await Promise.all(many)), new Set([reason]));
});

test("options before the handshake: refused is refused", {
  ...skip(notLinux ?? cannotSet("prepare")),
}, async () => {
  const closed = await listen({ hostname: v4, port: 0, timeout });
  const { port } = closed.addr;
  closed.close();
  const before = openDescriptors();
  assertEquals(await code(connect({ hostname: v4, port, timeout, prepare() {} })), "ECONNREFUSED");
  assertEquals(openDescriptors(), before);
});

test("retry: a service that starts later", async () => {
  const first = await listen({ hostname: v4, port: 0, timeout });
  const { port } = first.addr;
  first.close();
  const connecting = connect({ hostname: v4, port, timeout, retry: { delay: 20, max: 100 } });
  await sleep(250);
  using listener = await listen({ hostname: v4, port, timeout });
  using client = await connecting;
  using server = await listener.accept();
  assertEquals(server.remoteAddr.port, client.localAddr.port);
});

test("retry: until the one limit, which then tells what the last attempt met", async () => {
  const closed = await listen({ hostname: v4, port: 0, timeout });
  const { port } = closed.addr;
  closed.close();
  const start = performance.now();
  const error = await assertRejects(
    () => connect({ hostname: v4, port, timeout: 400, retry: { delay: 10, factor: 1 } }),
    TimeoutError,
  ) as TimeoutError;
  assert(performance.now() - start >= 390);
  assertEquals((error.cause as SocketError).code, "ECONNREFUSED");
  assertMatch(error.diagnosis!, /^\d+ attempts failed, the last one: .*ECONNREFUSED/);
  assert(parseInt(error.diagnosis!) >= 3, error.diagnosis!);
  // Without `retry`, the first failure rejects.
  assertEquals(await code(connect({ hostname: v4, port, timeout: 400 })), "ECONNREFUSED");
});

test("retry: an abort ends the wait", async () => {
  const closed = await listen({ hostname: v4, port: 0, timeout });
  const { port } = closed.addr;
  closed.close();
  const reason = new Error("enough");
  const controller = new AbortController();
  setTimeout(() => controller.abort(reason), 100);
  const start = performance.now();
  const error = await connect({
    ...{ hostname: v4, port, timeout: null, signal: controller.signal },
    retry: { delay: 60_000, max: 60_000 },
  }).catch((error) => error);
  assertEquals(error, reason);
  assert(performance.now() - start < patience);
});

test("retry: not after an error that no other attempt can cure", {
  ...skip(notLinux ?? cannotSet("localAddress")),
}, async () => {
  const from = { hostname: v4, port: 1, localAddress: "192.0.2.55" };
  assertEquals(await code(connect({ ...from, timeout: null, retry: {} })), "EADDRNOTAVAIL");
});

const wrong: [options: Record<string, unknown>, error: typeof TypeError, message: RegExp][] = [
  [{ localAddress: "localhost" }, TypeError, /'localAddress' must be an IP address/],
  [{ localAddress: 7 }, TypeError, /'localAddress' must be an IP address/],
  [{ localPort: 0 }, RangeError, /'localPort' must be an integer from 1 to 65535.* 0$/],
  [{ localPort: "80" }, TypeError, /'localPort'/],
  [{ interface: "" }, RangeError, /'interface' must be the name of a network interface/],
  [{ interface: "a-name-of-16-char" }, RangeError, /'interface'/],
  [{ interface: "a b" }, RangeError, /'interface'/],
  [{ prepare: true }, TypeError, /'prepare' must be a function/],
  [{ retry: true }, TypeError, /'retry' must be/],
  [{ retry: { delay: 0 } }, RangeError, /'retry.delay' must be a positive number of milliseconds/],
  [{ retry: { delay: "1s" } }, TypeError, /'retry.delay'/],
  [{ retry: { max: Infinity } }, RangeError, /'retry.max'/],
  [{ retry: { factor: 0.5 } }, RangeError, /'retry.factor' must be a number from 1 to 100/],
  [{ retry: { tries: 3 } }, TypeError, /'retry.tries' is not an option/],
];

for (const [options, Class, message] of wrong) {
  test(`connect: refuses ${JSON.stringify(options)}`, async () => {
    const error = await assertRejects(
      () => connect({ port: 1, timeout: 1_000, ...options } as ConnectOptions),
      Class,
    ) as Error;
    assertMatch(error.message, message);
  });
}
