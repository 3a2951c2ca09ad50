import { test } from "node:test";
import {
  assert,
  assertEquals,
  assertGreaterOrEqual,
  assertInstanceOf,
  assertMatch,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import {
  capabilities,
  connect,
  constants,
  getOptions,
  getsockopt,
  listen,
  onlySupported,
  setOptions,
  setsockopt,
  SocketError,
  type SocketOptions,
  type TcpConnection,
  tcpInfo,
  type TcpListener,
} from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import {
  pair,
  patience,
  readExactly,
  sleep,
  socketsOf,
  spawnRuntime,
  testFile,
  until,
  within,
} from "./support.ts";
import {
  descriptorOf,
  errorOf,
  linux,
  noIpv6,
  noKernel,
  notLinux,
  rawBytes,
  rawInts,
} from "./support_listen.ts";

const timeout = patience;

/** A value that is not the default, what reading it returns, and the raw value on Linux. */
interface Row {
  set: SocketOptions;
  reads?: SocketOptions;
  raw: [place: readonly [number, number], values: number[]][];
  /** The numbers of options for IPv6. */
  raw6?: Row["raw"];
}

const rows: Record<string, Row> = {
  "keepAlive: true": {
    set: { keepAlive: true },
    // The rest exists on Linux only.
    reads: { keepAlive: { idle: 7_200_000, interval: 75_000, count: 9 } },
    raw: [[linux.keepAlive, [1]]],
  },
  "keepAlive, all values": {
    set: { keepAlive: { idle: 61_000, interval: 7_000, count: 4 } },
    raw: [[linux.keepAlive, [1]], [linux.idle, [61]], [linux.interval, [7]], [linux.count, [4]]],
  },
  "keepAlive, idle alone": {
    set: { keepAlive: { idle: 62_000 } },
    reads: { keepAlive: { idle: 62_000, interval: 75_000, count: 9 } },
    raw: [[linux.idle, [62]], [linux.interval, [75]], [linux.count, [9]]],
  },
  "keepAlive, interval alone": {
    set: { keepAlive: { interval: 8_000 } },
    reads: { keepAlive: { idle: 7_200_000, interval: 8_000, count: 9 } },
    raw: [[linux.idle, [7_200]], [linux.interval, [8]], [linux.count, [9]]],
  },
  "keepAlive, count alone": {
    set: { keepAlive: { count: 5 } },
    reads: { keepAlive: { idle: 7_200_000, interval: 75_000, count: 5 } },
    raw: [[linux.idle, [7_200]], [linux.interval, [75]], [linux.count, [5]]],
  },
  "keepAlive, rounded up to seconds": {
    set: { keepAlive: { idle: 1_000, interval: 1_000.5, count: 2 } },
    reads: { keepAlive: { idle: 1_000, interval: 2_000, count: 2 } },
    raw: [[linux.idle, [1]], [linux.interval, [2]], [linux.count, [2]]],
  },
  "keepAlive, the largest values": {
    set: { keepAlive: { idle: 32_767_000, interval: 32_767_000, count: 127 } },
    raw: [[linux.idle, [32_767]], [linux.interval, [32_767]], [linux.count, [127]]],
  },
  "userTimeout": {
    set: { userTimeout: 71_001 },
    raw: [[linux.userTimeout, [71_001]]],
  },
  "userTimeout, rounded up to ms": {
    set: { userTimeout: 2_500.2 },
    reads: { userTimeout: 2_501 },
    raw: [[linux.userTimeout, [2_501]]],
  },
  "userTimeout, the largest value": {
    set: { userTimeout: 2 ** 31 - 1 },
    raw: [[linux.userTimeout, [2 ** 31 - 1]]],
  },
  "noDelay: false": { set: { noDelay: false }, raw: [[linux.noDelay, [0]]] },
  "linger: 0": { set: { linger: 0 }, raw: [[linux.linger, [1, 0]]] },
  "linger, rounded up to seconds": {
    set: { linger: 3_000.5 },
    reads: { linger: 4_000 },
    raw: [[linux.linger, [1, 4]]],
  },
  "receiveBufferSize": {
    set: { receiveBufferSize: 40_000 },
    reads: { receiveBufferSize: 80_000 },
    raw: [[linux.receiveBufferSize, [80_000]]],
  },
  "sendBufferSize": {
    set: { sendBufferSize: 50_000 },
    reads: { sendBufferSize: 100_000 },
    raw: [[linux.sendBufferSize, [100_000]]],
  },
  "typeOfService": {
    set: { typeOfService: 40 },
    raw: [[linux.tos, [40]]],
    raw6: [[linux.trafficClass, [40]]],
  },
  "hopLimit": {
    set: { hopLimit: 42 },
    raw: [[linux.ttl, [42]]],
    raw6: [[linux.hops, [42]]],
  },
  "notSentLowWaterMark": {
    set: { notSentLowWaterMark: 16_384 },
    raw: [[linux.notSentLowWaterMark, [16_384]]],
  },
};

/** The raw value that the kernel should have. */
function assertRaw(socket: TcpConnection | TcpListener, raw: Row["raw"]): void {
  for (const [place, values] of raw) {
    assertEquals(rawInts(socket, place, values.length === 2 ? 8 : 4), values, place.join());
  }
}

function only(all: SocketOptions, keys: SocketOptions): SocketOptions {
  return Object.fromEntries(
    Object.keys(keys).map((key) => [key, all[key as keyof SocketOptions]]),
  ) as SocketOptions;
}

for (const hostname of ["127.0.0.1", "::1"]) {
  const six = hostname === "::1";
  const reason = notLinux ?? (six ? noIpv6 : undefined);
  for (const [name, { set, reads = set, raw, raw6 = raw }] of Object.entries(rows)) {
    test(`set and read back on ${hostname}: ${name}`, skip(reason), async () => {
      using sockets = await pair({ listen: { hostname } });
      for (const socket of [sockets.client, sockets.server, sockets.listener]) {
        // A listener has what the runtime gave it, not our default.
        if (set.noDelay === false) socket.setOptions({ noDelay: true });
        assertNotEquals(only(socket.getOptions(), set), reads, "the start proves nothing");
        assertEquals(socket.setOptions(set), reads);
        assertEquals(only(socket.getOptions(), set), reads);
        assertEquals(only(getOptions(socket.native), set), reads);
        assertRaw(socket, six ? raw6 : raw);
      }
    });

    test(`in force from connect on ${hostname}: ${name}`, skip(reason), async () => {
      using sockets = await pair({ listen: { hostname }, connect: set });
      assertEquals(only(sockets.client.getOptions(), set), reads);
      assertRaw(sockets.client, six ? raw6 : raw);
      assertNotEquals(only(sockets.server.getOptions(), set), reads);
    });
  }
}

test("set and read back: congestionControl", skip(notLinux), async () => {
  using sockets = await pair();
  for (const socket of [sockets.client, sockets.server, sockets.listener]) {
    const start = socket.getOptions().congestionControl;
    const other = start === "reno" ? "cubic" : "reno";
    assertEquals(socket.setOptions({ congestionControl: other }), { congestionControl: other });
    assertEquals(socket.getOptions().congestionControl, other);
    const bytes = rawBytes(socket, linux.congestion, 16);
    assertEquals(new TextDecoder().decode(bytes).replace(/\0.*$/, ""), other);
  }
});

test("set: null is the system's default again", skip(notLinux), async () => {
  using sockets = await pair({ connect: { userTimeout: 9_000, linger: 0 } });
  const { client } = sockets;
  assertEquals(client.getOptions().userTimeout, 9_000);
  assertEquals(client.setOptions({ userTimeout: null }), { userTimeout: null });
  assertEquals(rawInts(client, linux.userTimeout), [0]);
  assertEquals(client.setOptions({ linger: null }), { linger: null });
  assertEquals(rawInts(client, linux.linger, 8), [0, 0]);
});

test(
  "set: an option left out is left alone, and so are the values of keepAlive",
  skip(notLinux),
  async () => {
    using sockets = await pair();
    const { client } = sockets;
    client.setOptions({ keepAlive: { idle: 61_000, interval: 7_000, count: 4 }, hopLimit: 42 });
    const before = client.getOptions();
    assertEquals(client.setOptions({}), {});
    assertEquals(client.getOptions(), before);
    client.setOptions({ keepAlive: { count: 5 } });
    assertEquals(client.getOptions().keepAlive, { idle: 61_000, interval: 7_000, count: 5 });
    assertEquals(client.setOptions({ keepAlive: false }), { keepAlive: false });
    assertEquals(rawInts(client, linux.keepAlive), [0]);
    assertEquals(rawInts(client, linux.interval), [7]);
    // After switching it on again the values are as before.
    assertEquals(client.setOptions({ keepAlive: true }), {
      keepAlive: { idle: 61_000, interval: 7_000, count: 5 },
    });
    assertEquals({ ...client.getOptions(), keepAlive: 0 }, { ...before, keepAlive: 0 });
  },
);

test("setNoDelay and setKeepAlive: as in Deno, and with values", skip(notLinux), async () => {
  using sockets = await pair();
  const { client } = sockets;
  assertEquals(rawInts(client, linux.noDelay), [1]);
  client.setNoDelay(false);
  assertEquals(rawInts(client, linux.noDelay), [0]);
  client.setNoDelay();
  assertEquals(rawInts(client, linux.noDelay), [1]);
  client.setKeepAlive({ idle: 9_000 });
  assertEquals([rawInts(client, linux.keepAlive), rawInts(client, linux.idle)], [[1], [9]]);
  client.setKeepAlive(false);
  assertEquals(rawInts(client, linux.keepAlive), [0]);
  client.setKeepAlive();
  assertEquals([rawInts(client, linux.keepAlive), rawInts(client, linux.idle)], [[1], [9]]);
});

test("keepAlive: the kernel's timer runs, and stops", skip(notLinux), async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const [local, remote] = [client.localAddr.port, client.remoteAddr.port];
  const row = () =>
    socketsOf(local, "ESTABLISHED")
      .find(({ localPort, remotePort }) => localPort === local && remotePort === remote)!;
  assertEquals(row().timer, 0);
  client.setOptions({ keepAlive: { idle: 30_000, interval: 5_000, count: 3 } });
  assertEquals(row().timer, 2);
  assert(row().timerMs > 25_000 && row().timerMs <= 30_100, `${row().timerMs} ms`);
  client.setOptions({ keepAlive: { idle: 50_000 } });
  assert(row().timerMs > 45_000 && row().timerMs <= 50_100, `${row().timerMs} ms`);
  client.setOptions({ keepAlive: false });
  assertEquals(row().timer, 0);
  // The other side's kernel answers a probe, which no program notices.
  client.setOptions({ keepAlive: { idle: 1_000, interval: 1_000, count: 1 } });
  await sleep(2_200);
  assertEquals(client.tcpInfo().probes, 0);
  await server.write(new Uint8Array([1]));
  assertEquals(await readExactly(client, 1), new Uint8Array([1]));
});

test(
  "typeOfService and hopLimit: of both families where IPv6 carries IPv4",
  skip(notLinux ?? noIpv6),
  async () => {
    using listener = await listen({ hostname: "::", port: 0, timeout, ipv6Only: false });
    using _client = await connect({ hostname: "127.0.0.1", port: listener.addr.port, timeout });
    using server = await listener.accept();
    const options = { typeOfService: 40, hopLimit: 42 };
    assertEquals(server.setOptions(options), options);
    assertEquals(rawInts(server, linux.tos), [40]);
    assertEquals(rawInts(server, linux.ttl), [42]);
  },
);

test("getOptions: reads the kernel, not what was set by us", skip(notLinux), async () => {
  using sockets = await pair({ connect: { hopLimit: 42 } });
  const { client } = sockets;
  setsockopt(client, ...linux.ttl, 43);
  setsockopt({ fd: descriptorOf(client) }, ...linux.userTimeout, 1_234);
  assertEquals(client.getOptions().hopLimit, 43);
  assertEquals(client.getOptions().userTimeout, 1_234);
});

test(
  "getOptions: has every option that can be read here, and maxSegmentSize",
  skip(noKernel),
  async () => {
    using sockets = await pair();
    const { options } = capabilities();
    const expected = Object.keys(sockets.client.getOptions()).sort();
    const readable = Object.entries(options).filter(([name, { get }]) =>
      get !== "none" && !name.includes(".")
    ).map(([name]) => name);
    for (const name of expected) assert(readable.includes(name), name);
    const row = ["congestionControl", "hopLimit", "keepAlive", "linger", "maxSegmentSize"];
    for (const name of row) assert(!readable.includes(name) || expected.includes(name), name);
    const { maxSegmentSize } = getOptions(sockets.client);
    assertGreaterOrEqual(maxSegmentSize ?? 0, 500);
  },
);

test("options of a closed socket: EBADF, for every call", skip(noKernel), async () => {
  using sockets = await pair();
  const { client, listener } = sockets;
  const linger = 0;
  client.close();
  listener.close();
  // The next socket gets the same descriptor. The closed one must not change it.
  using other = await pair();
  for (const socket of [client, listener]) {
    const { port } = socket === client ? client.remoteAddr : listener.addr;
    const calls: [operation: string, call: () => unknown][] = [
      ["getsockopt", () => socket.getOptions()],
      ["setsockopt", () => socket.setOptions({ linger })],
      ["getsockopt", () => getOptions(socket)],
      ["setsockopt", () => setOptions(socket, { linger, noDelay: false })],
      ["getsockopt", () => getsockopt(socket, 1, 13, 8)],
      ["setsockopt", () => setsockopt(socket, 1, 13, 8)],
      ["getsockopt", () => tcpInfo(socket)],
    ];
    if (socket === client) calls.push(["setsockopt", () => client.setKeepAlive(false)]);
    for (const [operation, call] of calls) {
      const error = assertThrows(call, SocketError);
      const found = [error.code, error.operation, error.address?.port];
      assertEquals(found, ["EBADF", operation, port], String(call));
    }
  }
  for (const socket of [other.client, other.server, other.listener]) {
    assertEquals(socket.getOptions().linger, null);
  }
});

test(
  "errors of the kernel: an unknown algorithm is ENOENT, and nothing is half-applied",
  skip(notLinux),
  async () => {
    using sockets = await pair();
    const { client } = sockets;
    const before = client.getOptions();
    const wrong: SocketOptions = {
      ...{ keepAlive: { idle: 9_000 }, noDelay: false, hopLimit: 9, linger: 0 },
      congestionControl: "no-such-one",
    };
    const error = assertThrows(() => client.setOptions(wrong), SocketError);
    assertEquals([error.code, error.operation], ["ENOENT", "setsockopt"]);
    assert(error.connectionUsable);
    assertEquals(client.getOptions(), before);
    // connect and listen leave no socket, and say so.
    const { port } = sockets.listener.addr;
    const late = await errorOf(connect({ hostname: "127.0.0.1", port, timeout, ...wrong }));
    assertInstanceOf(late, SocketError);
    assertEquals([late.code, late.operation, late.connectionUsable], ["ENOENT", "connect", false]);
    const never = await errorOf(listen({ hostname: "127.0.0.1", port: 0, timeout, ...wrong }));
    assertInstanceOf(never, SocketError);
    const told = [never.code, never.operation, never.connectionUsable];
    assertEquals(told, ["ENOENT", "listen", false]);
  },
);

test("nothing takes the pending error from the reader", skip(noKernel), async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  // On loopback the RST is there when this returns, before any runtime has looked.
  server.reset();
  for (
    const call of [
      () => client.getOptions(),
      () => client.setOptions({ noDelay: true, keepAlive: true, hopLimit: 42 }),
      () => client.tcpInfo(),
    ]
  ) {
    try {
      call();
    } catch (error) {
      // Without a peer any more, the kernel refuses some options.
      assertInstanceOf(error, SocketError);
    }
  }
  const error = await errorOf(client.read(new Uint8Array(1)));
  assertInstanceOf(error, SocketError);
  assertEquals([error.code, error.operation], ["ECONNRESET", "read"]);
  assertEquals((constants as Record<string, unknown>)["SO_ERROR"], undefined);
});

test("constants: the numbers of the running system, frozen", skip(notLinux), () => {
  const {
    SOL_SOCKET,
    SO_KEEPALIVE,
    IPPROTO_TCP,
    TCP_KEEPIDLE,
    TCP_USER_TIMEOUT,
    IPPROTO_IPV6,
    IPV6_V6ONLY,
  } = constants;
  assertEquals([SOL_SOCKET!, SO_KEEPALIVE!], [...linux.keepAlive]);
  assertEquals([IPPROTO_TCP!, TCP_KEEPIDLE!], [...linux.idle]);
  assertEquals([IPPROTO_TCP!, TCP_USER_TIMEOUT!], [...linux.userTimeout]);
  assertEquals([IPPROTO_IPV6!, IPV6_V6ONLY!], [...linux.v6Only]);
  // Constants of other systems are not defined.
  assertEquals(constants.TCP_RXT_CONNDROPTIME, undefined);
  assertEquals(constants.SO_EXCLUSIVEADDRUSE, undefined);
  assert(Object.isFrozen(constants));
});

test("getsockopt and setsockopt: numbers and bytes", skip(notLinux), async () => {
  using sockets = await pair();
  const { client, listener } = sockets;
  const { SOL_SOCKET, SO_LINGER } = constants;
  setsockopt(client, SOL_SOCKET!, SO_LINGER!, new Uint8Array([1, 0, 0, 0, 6, 0, 0, 0]));
  assertEquals(client.getOptions().linger, 6_000);
  assertEquals(
    getsockopt(client, SOL_SOCKET!, SO_LINGER!, 8),
    new Uint8Array([1, 0, 0, 0, 6, 0, 0, 0]),
  );
  setsockopt(client, ...linux.interval, 300);
  assertEquals(getsockopt(client, ...linux.interval), new Uint8Array([44, 1, 0, 0]));
  // IPPROTO_IP and IP_TTL.
  assertEquals(getsockopt(client, -0, 2), new Uint8Array([64, 0, 0, 0]));
  assertEquals(getsockopt(listener, ...linux.acceptConn), new Uint8Array([1, 0, 0, 0]));
  // As many bytes as the kernel wrote, which may be fewer than asked for.
  assertEquals(getsockopt(client, ...linux.tcpInfo, 20).length, 20);
  assert(getsockopt(client, ...linux.tcpInfo, 400).length > 100);
  const unknown = assertThrows(() => getsockopt(client, 6, 9_999), SocketError);
  assertEquals([unknown.code, unknown.operation], ["ENOPROTOOPT", "getsockopt"]);
  const refused = assertThrows(() => setsockopt(client, ...linux.idle, 0), SocketError);
  assertEquals([refused.code, refused.operation], ["EINVAL", "setsockopt"]);
});

const noInfo = capabilities().options.tcpInfo.get === "none"
  ? `tcpInfo: ${capabilities().options.tcpInfo.reason}`
  : undefined;

test("tcpInfo: counts a real transfer", skip(notLinux ?? noInfo), async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const start = tcpInfo(client);
  assertEquals([start.state, start.bytesReceived, start.unacknowledged], ["ESTABLISHED", 0, 0]);
  const size = 3_000_000;
  await Promise.all([client.write(new Uint8Array(size)), readExactly(server, size)]);
  await until(() => tcpInfo(client).unacknowledged === 0, "all is acknowledged");
  const sent = tcpInfo(client);
  const received = tcpInfo(server);
  // SYN counts as one.
  assertEquals((sent.bytesAcknowledged ?? 0) - (start.bytesAcknowledged ?? 0), size);
  assertEquals(received.bytesReceived, size);
  assertGreaterOrEqual(sent.bytesSent ?? 0, size);
  assertEquals([sent.notSent, sent.lost, sent.probes, sent.retransmits], [0, 0, 0, 0]);
  assert(sent.rtt > 0 && sent.rtt < 1_000, `rtt ${sent.rtt}`);
  assert((sent.minRtt ?? 1) <= sent.rtt + sent.rttVariation * 4);
  assert(sent.retransmitTimeout >= 200 && sent.retransmitTimeout < 5_000);
  assertEquals(sent.sendMaxSegmentSize, getOptions(client).maxSegmentSize!);
  assert(sent.congestionWindow > 1 && (sent.sendWindow ?? 1) > 0);
  assert((sent.deliveryRate ?? 1) > 0 && (sent.pathMtu ?? 1_500) >= 1_280);
  await sleep(100);
  const later = tcpInfo(client);
  assertGreaterOrEqual(later.lastDataSent ?? 0, 80);
  assertGreaterOrEqual(later.lastAckReceived ?? 0, 80);
  assertEquals(client.tcpInfo().bytesSent, tcpInfo(client.native).bytesSent);
});

test(
  "tcpInfo: shows a closed window, a half-closed and a listening socket",
  skip(notLinux ?? noInfo),
  async () => {
    using sockets = await pair({
      listen: { receiveBufferSize: 4_096 },
      connect: { sendBufferSize: 4_096 },
    });
    const { client, server } = sockets;
    const stuck = errorOf(client.write(new Uint8Array(2_000_000), { timeout: 400 }));
    await until(() => (tcpInfo(client).notSent ?? 0) > 0, "the window is closed");
    await within(patience, stuck);
    assert((tcpInfo(client).windowLimitedTime ?? 1) > 0);
    server.reset();
    using other = await pair();
    await other.client.closeWrite();
    await until(() => tcpInfo(other.client).state === "FIN-WAIT-2", "FIN is acknowledged");
    assertEquals(tcpInfo(other.server).state, "CLOSE-WAIT");
    assertEquals(tcpInfo(other.listener).state, "LISTEN");
  },
);

test("onlySupported: keeps what can be set and drops nothing else", () => {
  const all: SocketOptions = {
    keepAlive: { idle: 9_000, interval: 3_000, count: 2 },
    userTimeout: 9_000,
    noDelay: true,
    linger: null,
    hopLimit: 9,
    congestionControl: "reno",
  };
  const kept = onlySupported(all);
  for (const key of Object.keys(all) as (keyof typeof all & keyof Capable)[]) {
    const settable = capabilities().options[key].set !== "none";
    if (key === "keepAlive") continue;
    assertEquals(key in kept, settable, key);
    if (settable) assertEquals(kept[key], all[key]);
  }
  assertEquals(onlySupported({}), {});
  assertEquals(onlySupported({ noDelay: false, keepAlive: true }), {
    noDelay: false,
    keepAlive: true,
  });
});

type Capable = ReturnType<typeof capabilities>["options"];

const { set: keepAliveRoad } = capabilities().options.keepAlive;
const notNative = keepAliveRoad === "native" ? undefined : `keepAlive is ${keepAliveRoad} here`;

test(
  "what the runtime sets itself is in force, with and without system calls",
  skip(notNative),
  async () => {
    using sockets = await pair({
      listen: { keepAlive: true, noDelay: false },
      connect: { keepAlive: true, noDelay: false },
    });
    for (const socket of [sockets.client, sockets.server]) {
      const expected = (on: boolean) => {
        if (noKernel !== undefined) return;
        const { keepAlive, noDelay } = socket.getOptions();
        assertEquals([keepAlive !== false, noDelay], [on, !on]);
      };
      expected(true);
      socket.setOptions({ keepAlive: false, noDelay: true });
      expected(false);
      socket.setKeepAlive(true);
      socket.setNoDelay(false);
      expected(true);
    }
  },
);

test(
  "without system calls: what is native works, the rest is refused before anything happens",
  skip(notLinux),
  async () => {
    const { output, code } = await spawnRuntime(testFile("programs/without_ffi.ts"));
    assertEquals(code, 0, output);
    const { read, late, refused, comes, options, timer } = JSON.parse(
      output.trim().split("\n").at(-1)!,
    );
    assertEquals({ read, late, comes }, {
      read: 1,
      late: "TimeoutError",
      comes: "TimeoutError",
    });
    const named: Record<string, string> = {
      connect: "hopLimit",
      listen: "userTimeout",
      reuseAddress: "reuseAddress",
      setOptions: "sendBufferSize",
      method: "linger",
      getOptions: "getOptions",
      tcpInfo: "tcpInfo",
      interval: "keepAlive.interval",
    };
    const { runtime, version, system } = capabilities();
    for (const [name, option] of Object.entries(named)) {
      const error = refused[name];
      assertEquals(error.kind, "UnsupportedOptionError", `${name}: ${JSON.stringify(error)}`);
      assertEquals([error.option, error.runtime, error.system], [
        option,
        `${runtime} ${version}`,
        system,
      ]);
      assertMatch(error.reason, /\w+ \w+/);
    }
    assertEquals(options.noDelay.set, "native");
    assertEquals(options.keepAlive.set, "native");
    // Every Node sets an idle time, and newer ones all three values.
    assertEquals(options["keepAlive.idle"].set, runtime === "node" ? "native" : "none");
    if (runtime === "node") {
      assert(timer > 55_000 && timer <= 59_100, `first probe in ${timer} ms`);
      const newer = options["keepAlive.interval"].set === "native";
      const remedy =
        /or (use Node\.js 24\.21 or 26\.4 and )?give idle, interval and count together$/
          .exec(refused.interval.remedy);
      assert(remedy !== null, refused.interval.remedy);
      assertEquals(remedy[1] === undefined, newer);
      assertEquals(/24\.21/.test(refused.connect.remedy), false);
    }
    assertEquals(options.hopLimit.set, "none");
    assertMatch(options.hopLimit.reason, /\w+ \w+/);
  },
);

test("set: also while a write waits for the peer", skip(notLinux), async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const size = 16_000_000;
  const writing = client.write(new Uint8Array(size));
  writing.catch(() => {});
  await until(() => tcpInfo(client).notSent! > 0, "the peer's window is closed");
  const options = { noDelay: false, keepAlive: { idle: 61_000, interval: 7_000, count: 4 } };
  assertEquals(client.setOptions(options), options);
  assertEquals(client.setOptions({ keepAlive: false }), { keepAlive: false });
  client.setNoDelay(true);
  assertEquals(rawInts(client, linux.noDelay), [1]);
  await readExactly(server, size);
  assertEquals(await writing, size);
});
