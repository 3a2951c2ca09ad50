/**
 * Every option of every public function with a wrong type, a wrong range, an unknown key and a
 * conflict. All fail before a socket exists, with a message that names option, rule and value.
 *
 * @module
 */

import { test } from "node:test";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  connect,
  Deadline,
  getOptions,
  getsockopt,
  listen,
  onlySupported,
  setOptions,
  setsockopt,
  tcpInfo,
  wrap,
} from "@holdfast/tcp";
import { noTables, openDescriptors, pair } from "./support.ts";
import { skip } from "../support/skip.ts";

type Class = typeof TypeError | typeof RangeError;
/** Option, wrong value, class, part of the message after "as". */
type Row = [name: string, value: unknown, Class: Class, message: string];

class Tricky {
  get idle(): never {
    throw new TypeError("a getter's own error");
  }
}

const notANumber = [["1000", '"1000"'], [true, "true"], [{}, "an object"], [1n, "1n"]] as const;
const notPositive = [0, -1, -0.5, NaN, Infinity, -Infinity] as const;

function wrongTypes(name: string, rule: string): Row[] {
  return notANumber.map(([value, shown]) => [
    name,
    value,
    TypeError,
    `'${name}' ${rule}: current value is ${shown}`,
  ]);
}

function wrongRanges(name: string, rule: string, values: readonly number[]): Row[] {
  return values.map((value) => [
    name,
    value,
    RangeError,
    `'${name}' ${rule}: current value is ${value}`,
  ]);
}

const limit = "must be a positive number of milliseconds or null";
const keepTime = "must be a number of milliseconds greater than 0 and at most 32767000";
const userTime = "must be a number of milliseconds greater than 0 and at most 2147483647 or null";
const lingerTime = "must be a number of milliseconds at least 0 and at most 32767000 or null";
const bytes = "must be a number of bytes from 1 to 2147483647";
const lowWater = "must be a number of bytes from 0 to 2147483647";
const tos = "must be an integer from 0 to 255";
const hops = "must be an integer from 1 to 255";
const count = "must be an integer from 1 to 127";
const algorithm = "must be a string of 1 to 15 printable ASCII characters";

/** Nested as the caller writes it: "keepAlive.idle" -> { keepAlive: { idle } }. */
function nest(name: string, value: unknown): Record<string, unknown> {
  const [outer = "", inner] = name.split(".");
  return inner === undefined ? { [outer]: value } : { [outer]: { [inner]: value } };
}

const socketRows: Row[] = [
  ...wrongTypes("keepAlive.idle", keepTime),
  ...wrongRanges("keepAlive.idle", keepTime, [...notPositive, 32_767_001]),
  ...wrongTypes("keepAlive.interval", keepTime),
  ...wrongRanges("keepAlive.interval", keepTime, [...notPositive, 32_767_001]),
  ...wrongTypes("keepAlive.count", count),
  ...wrongRanges("keepAlive.count", count, [...notPositive, 1.5, 128]),
  [
    "keepAlive",
    null,
    TypeError,
    "'keepAlive' must be a boolean or an object: current value is null",
  ],
  ["keepAlive", 1, TypeError, "'keepAlive' must be a boolean or an object: current value is 1"],
  ["keepAlive", [1], TypeError, "'keepAlive' must be an object: current value is an array"],
  [
    "keepAlive",
    { idel: 1 },
    TypeError,
    "'keepAlive.idel' is not an option: the options are idle, interval, count",
  ],
  ["keepAlive", { idle: null }, TypeError, `'keepAlive.idle' ${keepTime}: current value is null`],
  ["keepAlive", new Tricky(), TypeError, "a getter's own error"],
  ...wrongTypes("userTimeout", userTime),
  ...wrongRanges("userTimeout", userTime, [...notPositive, 2 ** 31]),
  ...wrongTypes("linger", lingerTime),
  ...wrongRanges("linger", lingerTime, [-1, NaN, Infinity, 32_767_001]),
  ...["noDelay"].flatMap((name): Row[] => [
    [name, 1, TypeError, `'${name}' must be a boolean: current value is 1`],
    [name, null, TypeError, `'${name}' must be a boolean: current value is null`],
    [name, "true", TypeError, `'${name}' must be a boolean: current value is "true"`],
  ]),
  ...["receiveBufferSize", "sendBufferSize"].flatMap((name) => [
    ...wrongTypes(name, bytes),
    ...wrongRanges(name, bytes, [...notPositive, 1.5, 2 ** 31]),
  ]),
  ...wrongTypes("typeOfService", tos),
  ...wrongRanges("typeOfService", tos, [-1, 1.5, 256, NaN, Infinity]),
  ...wrongTypes("hopLimit", hops),
  ...wrongRanges("hopLimit", hops, [-1, 0, 1.5, 256, NaN]),
  ...wrongTypes("notSentLowWaterMark", lowWater),
  ...wrongRanges("notSentLowWaterMark", lowWater, [-1, 1.5, 2 ** 31, NaN]),
  ["congestionControl", 1, TypeError, `'congestionControl' ${algorithm}: current value is 1`],
  ["congestionControl", null, TypeError, `'congestionControl' ${algorithm}: current value is null`],
  ["congestionControl", "", RangeError, `'congestionControl' ${algorithm}: current value is ""`],
  [
    "congestionControl",
    "x".repeat(16),
    RangeError,
    `'congestionControl' ${algorithm}: current value is "${"x".repeat(16)}"`,
  ],
  [
    "congestionControl",
    "re\0no",
    RangeError,
    `'congestionControl' ${algorithm}: current value is "re\\u0000no"`,
  ],
  [
    "congestionControl",
    "x".repeat(100),
    RangeError,
    `current value is "${"x".repeat(40)}"...`,
  ],
  ...wrongTypes("deadPeerTimeout", "must be a number of milliseconds, at least 2000"),
  ...wrongRanges("deadPeerTimeout", "must be a number of milliseconds, at least 2000", [
    ...notPositive,
    1_999,
  ]),
  ["maxSegmentSize", 1_000, TypeError, "'maxSegmentSize' is not an option: the options are"],
  ["nodelay", true, TypeError, "'nodelay' is not an option: the options are"],
  ["keepalive", true, TypeError, "'keepalive' is not an option: the options are"],
];

const portRule = "must be an integer from 1 to 65535";
const listenPortRule = "must be an integer from 0 to 65535";
const hostRule = "must be a host name or an IP address";

const connectRows: Row[] = [
  ["port", undefined, TypeError, `'port' ${portRule}: current value is undefined`],
  ...wrongTypes("port", portRule),
  ...wrongRanges("port", portRule, [0, -1, 1.5, 65_536, NaN, Infinity]),
  ["hostname", 1, TypeError, `'hostname' ${hostRule}: current value is 1`],
  ["hostname", null, TypeError, `'hostname' ${hostRule}: current value is null`],
  ["hostname", "", TypeError, `'hostname' ${hostRule}: current value is ""`],
  ["hostname", "a b", TypeError, `'hostname' ${hostRule}: current value is "a b"`],
  ["hostname", "a\0b", TypeError, `'hostname' ${hostRule}: current value is "a\\u0000b"`],
  ["hostname", "http://a/", TypeError, `'hostname' ${hostRule}: current value is "http://a/"`],
  ["hostname", "[::1", TypeError, `'hostname' ${hostRule}: current value is "[::1"`],
  ["timeout", undefined, TypeError, `'timeout' ${limit}: current value is undefined`],
  ...[["1000", '"1000"'], [true, "true"], [1n, "1n"]].map(([value, shown]): Row => [
    "timeout",
    value,
    TypeError,
    `'timeout' ${limit}: current value is ${shown}`,
  ]),
  ...wrongRanges("timeout", limit, notPositive),
  ["timeout", [1], TypeError, "'timeout' must be an object: current value is an array"],
  [
    "timeout",
    {},
    TypeError,
    `'timeout.connect' ${limit}: current value is undefined`,
  ],
  [
    "timeout",
    { connect: 1, read: 1 },
    TypeError,
    `'timeout.write' ${limit}: current value is undefined`,
  ],
  [
    "timeout",
    { connect: 1, read: 0, write: 1 },
    RangeError,
    `'timeout.read' ${limit}: current value is 0`,
  ],
  [
    "timeout",
    { connect: 1, read: 1, write: 1, accept: 1 },
    TypeError,
    "'timeout.accept' is not an option: the options are connect, read, write",
  ],
  ["signal", {}, TypeError, "'signal' must be an AbortSignal: current value is an object"],
  ["signal", null, TypeError, "'signal' must be an AbortSignal: current value is null"],
  [
    "signal",
    new AbortController(),
    TypeError,
    "'signal' must be an AbortSignal: current value is an object",
  ],
  ["tiemout", 1, TypeError, "'tiemout' is not an option: the options are hostname, port, timeout"],
  ["reuseAddress", true, TypeError, "'reuseAddress' is not an option: the options are"],
];

const listenRows: Row[] = [
  ["port", undefined, TypeError, `'port' ${listenPortRule}: current value is undefined`],
  ...wrongTypes("port", listenPortRule),
  ...wrongRanges("port", listenPortRule, [-1, 1.5, 65_536, NaN]),
  ["hostname", 1, TypeError, `'hostname' ${hostRule}: current value is 1`],
  ["timeout", undefined, TypeError, `'timeout' ${limit}: current value is undefined`],
  ...wrongRanges("timeout", limit, notPositive),
  [
    "timeout",
    { read: 1, write: 1 },
    TypeError,
    `'timeout.accept' ${limit}: current value is undefined`,
  ],
  [
    "timeout",
    { accept: "1", read: 1, write: 1 },
    TypeError,
    `'timeout.accept' ${limit}: current value is "1"`,
  ],
  [
    "timeout",
    { accept: 1, read: 1, write: 1, connect: 1 },
    TypeError,
    "'timeout.connect' is not an option: the options are accept, read, write",
  ],
  ...["reuseAddress", "reusePort", "ipv6Only"].flatMap((name): Row[] => [
    [name, 1, TypeError, `'${name}' must be a boolean: current value is 1`],
    [name, null, TypeError, `'${name}' must be a boolean: current value is null`],
  ]),
  ...wrongTypes("backlog", "must be an integer from 1 to 2147483647"),
  ...wrongRanges("backlog", "must be an integer from 1 to 2147483647", [0, -1, 1.5, NaN, 2 ** 31]),
  ...wrongTypes("fd", "must be an integer from 0 to 2147483647"),
  ...wrongRanges("fd", "must be an integer from 0 to 2147483647", [-1, 1.5, NaN, 2 ** 31]),
  ["fd", 0, TypeError, "'fd' must not be given beside 'hostname'"],
  ["signal", new AbortController().signal, TypeError, "'signal' is not an option"],
];

const conflicts: Record<string, unknown>[] = [
  { deadPeerTimeout: 5_000, keepAlive: { idle: 1_000 } },
  { deadPeerTimeout: 5_000, keepAlive: true },
  { deadPeerTimeout: 5_000, keepAlive: false },
  { deadPeerTimeout: 5_000, userTimeout: 1_000 },
  { deadPeerTimeout: 5_000, userTimeout: null },
];

const notOptions = [undefined, null, 1, "x", true, [], () => {}, Symbol("s")];

/** What a call did wrong with bad input, and what it said. */
async function failure(call: () => unknown): Promise<Error> {
  let error: unknown;
  try {
    await call();
  } catch (thrown) {
    error = thrown;
  }
  assertInstanceOf(error, Error, "it did not fail");
  return error;
}

async function check(verb: string, [name, value, Class, message]: Row, call: () => unknown) {
  const error = await failure(call);
  const what = `${verb} ${name} ${typeof value}: ${error}`;
  assertEquals(error.constructor, Class, what);
  assertStringIncludes(error.message, message, what);
  if (message.startsWith("'")) assertMatch(error.message, new RegExp(`^Cannot ${verb} as '`), what);
}

test("connect: every wrong option", async () => {
  const good = { hostname: "127.0.0.1", port: 1, timeout: 1 };
  for (const row of [...connectRows, ...socketRows]) {
    await check("connect", row, () => connect({ ...good, ...nest(row[0], row[1]) } as never));
  }
});

test("listen: every wrong option", async () => {
  const good = { hostname: "127.0.0.1", port: 0, timeout: 1 };
  for (const row of [...listenRows, ...socketRows]) {
    await check("listen", row, () => listen({ ...good, ...nest(row[0], row[1]) } as never));
  }
});

test("listen: an inherited descriptor takes no address", async () => {
  const beside = {
    hostname: "127.0.0.1",
    port: 0,
    reuseAddress: true,
    reusePort: false,
    ipv6Only: true,
  };
  for (const [key, value] of Object.entries(beside)) {
    const error = await failure(() => listen({ fd: 0, timeout: 1, [key]: value } as never));
    assertInstanceOf(error, TypeError);
    assertEquals(error.message, `Cannot listen as 'fd' must not be given beside '${key}'`);
  }
});

test("conflicting socket options", async () => {
  for (const options of conflicts) {
    const calls: [string, () => unknown][] = [
      ["connect", () => connect({ port: 1, timeout: 1, ...options } as never)],
      ["listen", () => listen({ port: 0, timeout: 1, ...options } as never)],
      ["set options", () => setOptions({}, options)],
    ];
    for (const [verb, call] of calls) {
      const error = await failure(call);
      assertEquals(error.constructor, TypeError);
      assertMatch(
        error.message,
        new RegExp(`^Cannot ${verb} as 'deadPeerTimeout' must not be given beside '\\w+'$`),
      );
    }
  }
});

test("options that are no object", async () => {
  for (const options of notOptions) {
    const calls: [string, () => unknown][] = [
      ["connect", () => connect(options as never)],
      ["listen", () => listen(options as never)],
      ["set options", () => setOptions({}, options as never)],
      ["filter options", () => onlySupported(options as never)],
      ["wrap", () => wrap({}, options as never)],
    ];
    for (const [verb, call] of calls) {
      const error = await failure(call);
      assertEquals(error.constructor, TypeError, `${verb} ${String(options)}`);
      assertStringIncludes(error.message, `Cannot ${verb} as 'options' must be an object`);
    }
  }
});

test("setOptions: every wrong option, and nothing is half-applied", async () => {
  using sockets = await pair();
  const before = JSON.stringify(getOptions(sockets.client));
  for (const row of socketRows) {
    const good = { userTimeout: 1_234, keepAlive: { idle: 5_000 }, linger: 3_000 };
    const wrong = { ...good, ...nest(row[0], row[1]) };
    await check("set options", row, () => sockets.client.setOptions(wrong as never));
    await check("filter options", row, () => onlySupported(wrong as never));
  }
  assertEquals(JSON.stringify(getOptions(sockets.client)), before);
});

test("what is no socket", () => {
  const wrong = [undefined, null, 1, "x", {}, [], () => {}, new Date(), { fd: undefined }];
  for (const socket of wrong) {
    const calls: (() => unknown)[] = [
      () => setOptions(socket as never, {}),
      () => getOptions(socket as never),
      () => tcpInfo(socket as never),
      () => getsockopt(socket as never, 1, 1),
      () => setsockopt(socket as never, 1, 1, 1),
    ];
    for (const call of calls) {
      assertThrows(call, TypeError, "as 'socket' must be a TCP socket: current value is");
    }
    assertThrows(
      () => wrap(socket as never, { timeout: 1 }),
      TypeError,
      "Cannot wrap as 'native' must be an open TCP connection of this runtime",
    );
  }
  const rule = "as 'fd' must be an integer from 0 to 2147483647: current value is";
  assertThrows(() => getOptions({ fd: "1" } as never), TypeError, rule);
  assertThrows(() => getOptions({ fd: null } as never), TypeError, rule);
  for (const fd of [-1, 1.5, NaN, 2 ** 31]) {
    assertThrows(() => getOptions({ fd }), RangeError, rule);
  }
});

test("getsockopt and setsockopt: wrong arguments", async () => {
  using sockets = await pair();
  const { client } = sockets;
  for (const wrong of ["1", null, undefined, true]) {
    assertThrows(() => getsockopt(client, wrong as never, 1), TypeError, "'level' must be");
    assertThrows(() => getsockopt(client, 1, wrong as never), TypeError, "'name' must be");
    assertThrows(() => setsockopt(client, wrong as never, 1, 1), TypeError, "'level' must be");
    assertThrows(() => setsockopt(client, 1, wrong as never, 1), TypeError, "'name' must be");
    assertThrows(() => setsockopt(client, 1, 9, wrong as never), TypeError, "'value' must be");
  }
  for (const wrong of [NaN, 1.5, 2 ** 31, Infinity]) {
    assertThrows(() => getsockopt(client, wrong, 1), RangeError, "'level' must be");
    assertThrows(() => getsockopt(client, 1, wrong), RangeError, "'name' must be");
  }
  for (const wrong of [NaN, 1.5, 2 ** 32, -(2 ** 31) - 1]) {
    assertThrows(() => setsockopt(client, 1, 9, wrong), RangeError, "'value' must be");
  }
  for (const wrong of [0, -1, 1.5, NaN, 65_537]) {
    assertThrows(() => getsockopt(client, 1, 9, wrong), RangeError, "'length' must be");
  }
  assertThrows(() => getsockopt(client, 1, 9, "4" as never), TypeError, "'length' must be");
  for (const size of [0, 65_537]) {
    assertThrows(
      () => setsockopt(client, 1, 9, new Uint8Array(size)),
      RangeError,
      `'value' must have 1 to 65536 bytes: current length is ${size}`,
    );
  }
});

test("calls: wrong limits reject, and take nothing", async () => {
  using sockets = await pair({ connect: { timeout: null } });
  const { client, listener } = sockets;
  const data = new Uint8Array(1);
  const verbs: [string, (options: never) => Promise<unknown>][] = [
    ["read", (options) => client.read(data, options)],
    ["write", (options) => client.write(data, options)],
    ["accept", (options) => listener.accept(options)],
  ];
  const rows: Row[] = [
    ...wrongTypes("timeout", limit),
    ...wrongRanges("timeout", limit, notPositive),
    ["deadline", 5, TypeError, "'deadline' must be a Deadline: current value is 5"],
    ["deadline", null, TypeError, "'deadline' must be a Deadline: current value is null"],
    [
      "deadline",
      { at: 1, timeout: 1 },
      TypeError,
      "'deadline' must be a Deadline: current value is an object",
    ],
    ["signal", {}, TypeError, "'signal' must be an AbortSignal: current value is an object"],
    ["signal", null, TypeError, "'signal' must be an AbortSignal: current value is null"],
    [
      "timout",
      1,
      TypeError,
      "'timout' is not an option: the options are timeout, deadline, signal",
    ],
  ];
  for (const [verb, call] of verbs) {
    for (const row of rows) await check(verb, row, () => call({ [row[0]]: row[1] } as never));
    for (const options of [null, 1, "x"]) {
      const error = await failure(() => call(options as never));
      assertEquals(error.constructor, TypeError);
      assertStringIncludes(error.message, `Cannot ${verb} as 'options' must be an object`);
    }
  }
  assertEquals(client.bytesWritten, 0);
});

test("read and write: wrong memory", async () => {
  using sockets = await pair();
  for (const data of [undefined, null, "x", [1], new ArrayBuffer(1), new Uint16Array(1)]) {
    await assertRejects(
      () => sockets.client.read(data as never),
      TypeError,
      "Cannot read as 'into' must be a Uint8Array",
    );
    await assertRejects(
      () => sockets.client.write(data as never),
      TypeError,
      "Cannot write as 'data' must be a Uint8Array",
    );
  }
  assertEquals(sockets.client.bytesWritten, 0);
});

test("setters of a connection: wrong arguments change nothing", async () => {
  using sockets = await pair();
  const { client } = sockets;
  const before = { ...client.timeouts };
  for (const wrong of [0, -1, NaN, Infinity, "1"]) {
    const Class = typeof wrong === "string" ? TypeError : RangeError;
    assertThrows(
      () => client.setTimeouts({ read: 5, write: wrong } as never),
      Class,
      "Cannot set timeouts as 'write' must be",
    );
    assertThrows(() => client.setTimeouts({ read: wrong } as never), Class, "'read' must be");
  }
  assertThrows(() => client.setTimeouts({ raed: 1 } as never), TypeError, "'raed' is not");
  assertThrows(() => client.setTimeouts(undefined as never), TypeError, "'options' must be");
  assertEquals({ ...client.timeouts }, before);
  assertThrows(() => client.setNoDelay(1 as never), TypeError, "'noDelay' must be a boolean");
  assertThrows(() => client.setKeepAlive(1 as never), TypeError, "'keepAlive' must be a boolean");
  assertThrows(() => client.setKeepAlive({ idle: -1 }), RangeError, "'keepAlive.idle' must be");
});

test("wrap and Deadline: wrong arguments", () => {
  for (const wrong of [0, -1, NaN, Infinity]) {
    assertThrows(
      () => wrap({}, { timeout: wrong }),
      RangeError,
      "Cannot wrap as 'timeout' must be",
    );
    assertThrows(() => Deadline.after(wrong), RangeError, "Cannot make a deadline as 'ms' must be");
  }
  for (const wrong of [undefined, "1", true]) {
    assertThrows(() => wrap({}, { timeout: wrong } as never), TypeError, "'timeout' must be");
    assertThrows(() => Deadline.after(wrong as never), TypeError, "'ms' must be");
  }
  assertThrows(() => Deadline.after(null as never), TypeError, "'ms' must be");
  assertThrows(() => wrap({}, { timeout: { read: 1 } } as never), TypeError, "'timeout.write'");
  assertThrows(() => wrap({}, { timeout: 1, x: 1 } as never), TypeError, "'x' is not an option");
});

test("options are read once, before anything happens", async () => {
  using sockets = await pair();
  let reads = 0;
  const options = {
    get linger() {
      return ++reads === 1 ? 3_000 : "changed";
    },
  };
  sockets.client.setOptions(options as never);
  assertEquals(reads, 1);
});

test("bad input leaves no descriptor behind", skip(noTables), async () => {
  const before = openDescriptors();
  await failure(() => connect({ port: 1, timeout: 0 }));
  await failure(() => listen({ port: 0, timeout: 0 }));
  await failure(() => listen({ port: 0, timeout: 1, hopLimit: 0 }));
  assertEquals(openDescriptors(), before);
  assert(before >= 0);
});
