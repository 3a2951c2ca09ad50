import { createServer, type Server } from "node:net";
import { once } from "node:events";
import { test } from "node:test";
import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects } from "@std/assert";
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
import { noTables, openDescriptors, type Pair, pair, patience } from "./support.ts";
import { errorOf, noKernel } from "./support_listen.ts";

/** A value, the class of the error, and how the message shows the value. */
type Bad = readonly [value: unknown, error: typeof TypeError | typeof RangeError, shown: string];

const types = (...values: unknown[]): Bad[] =>
  values.map((value) => [value, TypeError, show(value)] as const);
const ranges = (...values: unknown[]): Bad[] =>
  values.map((value) => [value, RangeError, show(value)] as const);

/** The form that messages have to have. */
function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) return "an object";
  return String(value);
}

/** An option of connect, listen or setOptions: what it must be, in words, and values that it must not be. */
interface Field {
  says: string;
  bad: Bad[];
}

const noNumber = ["1000", true, 5n, {}, [], Symbol.iterator, () => 1];
const milliseconds: Field = {
  says: "must be a positive number of milliseconds or null",
  bad: [
    ...types(...noNumber.filter((it) => typeof it !== "object")),
    ...ranges(0, -1, NaN, Infinity, -Infinity, -0),
  ],
};
const time = (min: number, max: number, nil: string): Field => ({
  says: `must be a number of milliseconds from ${min} to ${max}${nil}`,
  bad: [
    ...types(...noNumber, ...(nil === "" ? [null] : [])),
    ...ranges(NaN, Infinity, -Infinity, -1, min - 0.5, max + 1),
  ],
});
const integer = (min: number, max: number, what = "an integer"): Field => ({
  says: `must be ${what} from ${min} to ${max}`,
  bad: [...types(...noNumber, null), ...ranges(min - 1, max + 1, min + 0.5, NaN, Infinity)],
});
const flag: Field = { says: "must be a boolean", bad: types(0, 1, "true", null, {}) };
const int = 2 ** 31 - 1;

const socketFields: Record<string, Field> = {
  "keepAlive": { says: "must be a boolean or an object", bad: types(1, "on", null, () => 1) },
  "keepAlive.idle": time(1_000, 32_767_000, ""),
  "keepAlive.interval": time(1_000, 32_767_000, ""),
  "keepAlive.count": integer(1, 127),
  "userTimeout": time(1_000, int, " or null"),
  "noDelay": flag,
  "linger": time(0, 32_767_000, " or null"),
  "receiveBufferSize": integer(1, int, "a number of bytes"),
  "sendBufferSize": integer(1, int, "a number of bytes"),
  "typeOfService": integer(0, 255),
  "hopLimit": integer(1, 255),
  "notSentLowWaterMark": integer(0, int, "a number of bytes"),
  "congestionControl": {
    says: "must be a string of 1 to 15 printable ASCII characters",
    bad: [...types(1, null, {}), ...ranges("", "longer than fifteen", "a b", "ä", "a\0")],
  },
  "deadPeerTimeout": {
    says: "must be a number of milliseconds, at least 2000",
    bad: [...types(...noNumber, null), ...ranges(0, -1, 1_999, NaN, Infinity)],
  },
};
const hostnames: Field = {
  says: "must be a host name or an IP address",
  bad: types(1, null, {}, "", " ", "a b", "a/b", "a\0b", "[]", "[::1", "http://a"),
};
const signal: Field = {
  says: "must be an AbortSignal",
  bad: types(null, 1, "x", {}, new AbortController()),
};

const connectFields: Record<string, Field> = {
  ...socketFields,
  hostname: hostnames,
  port: { ...integer(1, 65_535), bad: [...integer(1, 65_535).bad, ...types(undefined)] },
  timeout: { ...milliseconds, bad: [...milliseconds.bad, ...types(undefined)] },
  "timeout.connect": { ...milliseconds, bad: [...milliseconds.bad, ...types(undefined, {})] },
  "timeout.read": { ...milliseconds, bad: [...milliseconds.bad, ...types(undefined)] },
  "timeout.write": { ...milliseconds, bad: [...milliseconds.bad, ...types(undefined)] },
  "timeout.idle": milliseconds,
  signal,
  deadline: { says: "must be a Deadline", bad: types(null, 1, {}, new AbortController()) },
};
const listenFields: Record<string, Field> = {
  ...socketFields,
  hostname: hostnames,
  port: { ...integer(0, 65_535), bad: [...integer(0, 65_535).bad, ...types(undefined)] },
  timeout: { ...milliseconds, bad: [...milliseconds.bad, ...types(undefined)] },
  "timeout.accept": { ...milliseconds, bad: [...milliseconds.bad, ...types(undefined)] },
  "timeout.read": { ...milliseconds, bad: [...milliseconds.bad, ...types(undefined)] },
  "timeout.write": { ...milliseconds, bad: [...milliseconds.bad, ...types(undefined)] },
  "timeout.idle": milliseconds,
  reuseAddress: flag,
  reusePort: flag,
  ipv6Only: flag,
  backlog: integer(1, int),
  maxPending: integer(1, int),
  fd: integer(0, int),
};

/** Good options of a call, in which one is replaced by a bad one. `a.b` is a key of an object. */
function withOption(good: object, name: string, value: unknown): object {
  const [key = "", inner] = name.split(".");
  if (inner === undefined) return { ...good, [key]: value };
  const others = key === "timeout"
    ? { connect: 5, read: 5, write: 5, accept: 5 }
    : { idle: 5_000 } as Record<string, unknown>;
  return { ...good, [key]: { ...others, [inner]: value } };
}

/** The error of a call, thrown or rejected; a result is closed. */
async function errorFrom(call: () => unknown): Promise<unknown> {
  try {
    const result = await call();
    (result as { close?: () => void } | undefined)?.close?.();
    return "no error at all";
  } catch (error) {
    return error;
  }
}

/** Collects what went wrong in all cases of a test. */
const problems: string[] = [];

async function expect(
  label: string,
  call: () => unknown,
  kind: typeof TypeError | typeof RangeError,
  message: string | RegExp,
): Promise<void> {
  const error = await errorFrom(call);
  const good = error instanceof Error && error.constructor === kind &&
    (typeof message === "string" ? error.message === message : message.test(error.message));
  if (!good) problems.push(`${label}\n  expected ${kind.name}: ${message}\n  got ${error}`);
}

function verdict(): void {
  assertEquals(problems.splice(0).join("\n"), "");
}

/** A listener that counts connections, to show that nothing was dialled. */
async function doorman() {
  const server: Server = createServer();
  const visits = { count: 0 };
  server.on("connection", (socket) => {
    visits.count++;
    socket.destroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  return { port, visits, [Symbol.dispose]: () => void server.close() };
}

const descriptors = (): number => noTables === undefined ? openDescriptors() : 0;

test("bad input: every option of connect, before a socket exists", async () => {
  using door = await doorman();
  const before = descriptors();
  const good = { hostname: "127.0.0.1", port: door.port, timeout: patience };
  for (const [name, { says, bad }] of Object.entries(connectFields)) {
    for (const [value, kind, shown] of bad) {
      const options = withOption(good, name, value) as typeof good;
      if (name.startsWith("timeout.")) {
        delete (options.timeout as unknown as { accept?: unknown }).accept;
      }
      const message = `Cannot connect as '${name}' ${says}: current value is ${shown}`;
      await expect(`connect ${name} ${shown}`, () => connect(options), kind, message);
      assertEquals(descriptors(), before, `connect ${name} ${shown}`);
    }
  }
  assertEquals(door.visits.count, 0);
  verdict();
});

test("bad input: every option of listen, before a socket exists", async () => {
  const before = descriptors();
  const good = { hostname: "127.0.0.1", port: 0, timeout: patience };
  for (const [name, { says, bad }] of Object.entries(listenFields)) {
    for (const [value, kind, shown] of bad) {
      const options = withOption(good, name, value) as typeof good;
      if (name.startsWith("timeout.")) {
        delete (options.timeout as unknown as { connect?: unknown }).connect;
      }
      const message = `Cannot listen as '${name}' ${says}: current value is ${shown}`;
      await expect(`listen ${name} ${shown}`, () => listen(options), kind, message);
      assertEquals(descriptors(), before, `listen ${name} ${shown}`);
    }
  }
  verdict();
});

test("bad input: limits of connect and of listen are a plain object", async () => {
  class Limits {
    readonly connect = null;
    readonly accept = null;
    readonly read = null;
    readonly write = null;
  }
  for (const timeout of [new Limits(), [], new Map(), new Date(), Promise.resolve(5)] as never[]) {
    for (const call of [connect, listen] as ((options: object) => Promise<unknown>)[]) {
      const error = await errorOf(call({ port: 1, timeout }));
      assert(error instanceof TypeError && / 'timeout' must be/.test(error.message), String(error));
    }
  }
});

test("bad input: every socket option, of a connection and of a listener; nothing is half-applied", async () => {
  using sockets = await pair();
  const { client, listener } = sockets;
  const read = () => noKernel === undefined ? [client.getOptions(), listener.getOptions()] : [];
  const before = read();
  for (const [name, { says, bad }] of Object.entries(socketFields)) {
    for (const [value, kind, shown] of bad) {
      // Good options stand before and after the bad one. They must not be set.
      const options = {
        ...withOption({}, name, value),
        ...(name === "noDelay" ? {} : { noDelay: false }),
      };
      const message = `Cannot set options as '${name}' ${says}: current value is ${shown}`;
      for (
        const call of [
          () => client.setOptions(options),
          () => listener.setOptions(options),
          () => setOptions(client, options),
          () => setOptions(client.native, options),
        ]
      ) await expect(`${call} ${name} ${shown}`, call, kind, message);
      const dropping = `onlySupported ${name} ${shown}`;
      await expect(
        dropping,
        () => onlySupported(options),
        kind,
        /^Cannot .* as '.*: current value is /s,
      );
    }
    assertEquals(read(), before, name);
  }
  verdict();
});

test("bad input: other libraries' names are translated, misspelt ones set right", async () => {
  const meant: Record<string, string | undefined> = {
    host: "hostname",
    address: "hostname",
    timeoutMs: "timeout",
    connectTimeout: "timeout.connect",
    abortSignal: "signal",
    recvBufferSize: "receiveBufferSize",
    sndbuf: "sendBufferSize",
    initialDelay: "keepAlive.idle",
    keepAliveInitialDelay: "keepAlive.idle",
    keepAliveInterval: "keepAlive.interval",
    TCP_KEEPCNT: "keepAlive.count",
    tcpUserTimeout: "userTimeout",
    SO_LINGER: "linger",
    ttl: "hopLimit",
    tos: "typeOfService",
    NoDelay: "noDelay",
    keep_alive: "keepAlive",
    hostnmae: "hostname",
    deadPeerTimout: "deadPeerTimeout",
    family: undefined,
    lookup: undefined,
    // An option of `listen`.
    tcpBacklog: undefined,
  };
  for (const [key, name] of Object.entries(meant)) {
    assertEquals(await suggestionFor(connect, key), name, key);
  }
  assertEquals(await suggestionFor(listen, "tcpBacklog"), "backlog");
  assertEquals(await suggestionFor(listen, "acceptTimeout"), "timeout.accept");
  assertEquals(await suggestionFor(listen, "idleTimeout"), "timeout.idle");
});

async function suggestionFor(
  call: (options: never) => Promise<unknown>,
  key: string,
): Promise<string | undefined> {
  const error = await assertRejects(() => call({ port: 1, timeout: 5, [key]: 1 } as never));
  return /did you mean '(.*?)'\?/.exec((error as Error).message)?.[1];
}

test("bad input: a promise is told from a socket and from a value", async () => {
  using sockets = await pair();
  const promise: object = Promise.resolve(sockets.client);
  const says = /: current value is a promise, await it$/;
  const port = Promise.resolve(5) as unknown as number;
  await expect("setOptions", () => setOptions(promise, { noDelay: true }), TypeError, says);
  await expect("getOptions", () => getOptions(promise), TypeError, says);
  await expect("wrap", () => wrap(promise, { timeout: 5 }), TypeError, says);
  await expect("connect", () => connect({ port, timeout: 5 }), TypeError, says);
  verdict();
});

test("bad input: unknown keys, by name and with the ones there are", async () => {
  using sockets = await pair();
  using door = await doorman();
  const { client, listener } = sockets;
  const before = descriptors();
  const buffer = new Uint8Array(4);
  const { port } = door;
  // deno-lint-ignore no-explicit-any -- wrong on purpose
  const any = (value: unknown): any => value;
  const times = { read: 5, write: 5 };
  const cases: [string, string, (options: object) => unknown, object, string?][] = [
    ["connect", "tiemout", (o) => connect(any(o)), { port, timeout: 5, tiemout: 5 }, "timeout"],
    ["connect", "reuseAddress", (o) => connect(any(o)), { port, timeout: 5, reuseAddress: true }],
    ["connect", "timeout.accept", (o) => connect(any(o)), {
      port,
      timeout: { ...times, connect: 5, accept: 5 },
    }],
    ["connect", "keepAlive.delay", (o) => connect(any(o)), {
      port,
      timeout: 5,
      keepAlive: { delay: 5 },
    }, "keepAlive.idle"],
    ["listen", "signal", (o) => listen(any(o)), { port: 0, timeout: 5, signal: undefined }],
    [
      "listen",
      "reuseAddr",
      (o) => listen(any(o)),
      { port: 0, timeout: 5, reuseAddr: true },
      "reuseAddress",
    ],
    ["listen", "timeout.connect", (o) => listen(any(o)), {
      port: 0,
      timeout: { ...times, accept: 5, connect: 5 },
    }],
    [
      "wrap",
      "timeouts",
      (o) => wrap(client.native, any(o)),
      { timeout: 5, timeouts: 5 },
      "timeout",
    ],
    ["wrap", "timeout.accept", (o) => wrap(client.native, any(o)), {
      timeout: { ...times, accept: 5 },
    }],
    [
      "set options",
      "keepalive",
      (o) => client.setOptions(any(o)),
      { keepalive: true },
      "keepAlive",
    ],
    ["set options", "maxSegmentSize", (o) => setOptions(client, any(o)), { maxSegmentSize: 900 }],
    ["set options", "keepAlive.idel", (o) => listener.setOptions(any(o)), {
      keepAlive: { idel: 900 },
    }, "keepAlive.idle"],
    ["set options", "reusePort", (o) => listener.setOptions(any(o)), { reusePort: true }],
    ["read", "tiemout", (o) => client.read(buffer, any(o)), { tiemout: 5 }, "timeout"],
    ["write", "size", (o) => client.write(buffer, any(o)), { timeout: 5, size: 5 }],
    ["accept", "timeOut", (o) => listener.accept(any(o)), { timeOut: 5 }, "timeout"],
    ["end", "timeOut", (o) => client.end(any(o)), { timeOut: 5 }, "timeout"],
    ["drain", "timeOut", (o) => listener.drain(any(o)), { timeOut: 5 }, "timeout"],
    ["shut down", "timeOut", (o) => listener.shutdown(any(o)), { timeOut: 5 }, "timeout"],
    ["set timeouts", "connect", (o) => client.setTimeouts(any(o)), { connect: 5 }],
  ];
  for (const [verb, name, call, options, meant] of cases) {
    const list = meant === undefined
      ? "the options are"
      : `did you mean '${meant}'\\? The options are`;
    const start = new RegExp(
      `^Cannot ${verb} as '${name}' is not an option: ${list} [a-zA-Z, 0-9]+$`,
    );
    await expect(`${verb} ${name}`, () => call(options), TypeError, start);
  }
  const dropped = onlySupported.bind(undefined, any({ keepalive: true }));
  await expect("onlySupported", dropped, TypeError, /^Cannot .* as 'keepalive' is not an option: /);
  assertEquals(descriptors(), before);
  assertEquals(door.visits.count, 0);
  verdict();
});

test("bad input: options that contradict each other", async () => {
  using sockets = await pair();
  using door = await doorman();
  const before = descriptors();
  const good = { hostname: "127.0.0.1", port: door.port, timeout: patience };
  const socketPairs: [string, object][] = [
    ["keepAlive", { deadPeerTimeout: 5_000, keepAlive: { idle: 5_000 } }],
    ["userTimeout", { deadPeerTimeout: 5_000, userTimeout: 5_000 }],
  ];
  for (const [name, options] of socketPairs) {
    const message = (verb: string) =>
      `Cannot ${verb} as 'deadPeerTimeout' must not be given beside '${name}'`;
    await expect(name, () => connect({ ...good, ...options }), TypeError, message("connect"));
    await expect(
      name,
      () => listen({ ...good, port: 0, ...options }),
      TypeError,
      message("listen"),
    );
    await expect(
      name,
      () => sockets.client.setOptions(options),
      TypeError,
      message("set options"),
    );
  }
  const address = { hostname: "::1", port: 0, reuseAddress: true, reusePort: true, ipv6Only: true };
  for (const [name, value] of Object.entries(address)) {
    await expect(
      `fd beside ${name}`,
      () => listen({ fd: 3, timeout: 5, [name]: value }),
      TypeError,
      `Cannot listen as 'fd' must not be given beside '${name}'`,
    );
  }
  assertEquals(descriptors(), before);
  assertEquals(door.visits.count, 0);
  verdict();
});

/** Calls with an argument that is not an options object, or of the wrong kind. */
function wrongArguments(
  { client, listener }: Pair,
): [string, string, string, Bad[], (value: never) => unknown][] {
  const noObject = types(undefined, null, 5, "x", () => 1, []);
  const sockets = types(undefined, null, 5, "x");
  const objects = "must be an object";
  const limits = types(null, 5, "x", [], {}, new Date());
  const buffer = new Uint8Array(4);
  const data: Bad[] = types(
    undefined,
    null,
    5,
    "text",
    {},
    new ArrayBuffer(4),
    new Uint16Array(4),
    [1],
  );
  return [
    ["connect", "options", objects, noObject, (it) => connect(it)],
    ["listen", "options", objects, noObject, (it) => listen(it)],
    ["wrap", "options", objects, noObject, (it) => wrap(client.native, it)],
    ["set options", "options", objects, noObject, (it) => client.setOptions(it)],
    ["set options", "options", objects, noObject, (it) => listener.setOptions(it)],
    ["set options", "options", objects, noObject, (it) => setOptions(client, it)],
    ["set timeouts", "options", objects, noObject, (it) => client.setTimeouts(it)],
    ["read", "options", objects, types(null, 5, "x", () => 1), (it) => client.read(buffer, it)],
    ["write", "options", objects, types(null, 5, "x", () => 1), (it) => client.write(buffer, it)],
    ["accept", "options", objects, types(null, 5, "x", () => 1), (it) => listener.accept(it)],
    ["end", "options", objects, types(null, 5, "x", () => 1), (it) => client.end(it)],
    ["drain", "options", objects, types(null, 5, "x", () => 1), (it) => listener.drain(it)],
    ["shut down", "options", objects, types(null, 5, "x", () => 1), (it) => listener.shutdown(it)],
    ["read", "into", "must be a Uint8Array", data, (it) => client.read(it)],
    ["write", "data", "must be a Uint8Array", data, (it) => client.write(it)],
    [
      "read",
      "timeout",
      milliseconds.says,
      milliseconds.bad,
      (timeout) => client.read(buffer, { timeout }),
    ],
    [
      "write",
      "timeout",
      milliseconds.says,
      milliseconds.bad,
      (timeout) => client.write(buffer, { timeout }),
    ],
    [
      "accept",
      "timeout",
      milliseconds.says,
      milliseconds.bad,
      (timeout) => listener.accept({ timeout }),
    ],
    ["end", "timeout", milliseconds.says, milliseconds.bad, (timeout) => client.end({ timeout })],
    ["end", "deadline", "must be a Deadline", limits, (deadline) => client.end({ deadline })],
    ["end", "signal", signal.says, signal.bad, (signal) => client.end({ signal })],
    [
      "read",
      "deadline",
      "must be a Deadline",
      limits,
      (deadline) => client.read(buffer, { deadline }),
    ],
    [
      "write",
      "deadline",
      "must be a Deadline",
      limits,
      (deadline) => client.write(buffer, { deadline }),
    ],
    [
      "accept",
      "deadline",
      "must be a Deadline",
      limits,
      (deadline) => listener.accept({ deadline }),
    ],
    ["read", "signal", signal.says, signal.bad, (signal) => client.read(buffer, { signal })],
    ["write", "signal", signal.says, signal.bad, (signal) => client.write(buffer, { signal })],
    ["accept", "signal", signal.says, signal.bad, (signal) => listener.accept({ signal })],
    [
      "set timeouts",
      "read",
      milliseconds.says,
      milliseconds.bad,
      (read) => client.setTimeouts({ read }),
    ],
    [
      "set timeouts",
      "idle",
      milliseconds.says,
      milliseconds.bad,
      (idle) => client.setTimeouts({ idle }),
    ],
    [
      "set timeouts",
      "write",
      milliseconds.says,
      milliseconds.bad,
      (write) => client.setTimeouts({ write }),
    ],
    [
      "wrap",
      "timeout",
      milliseconds.says,
      [...milliseconds.bad, ...types(undefined)],
      (timeout) => wrap(client.native, { timeout }),
    ],
    ["set options", "noDelay", flag.says, types(0, "x", null), (it) => client.setNoDelay(it)],
    [
      "set options",
      "keepAlive",
      socketFields.keepAlive!.says,
      types(0, "x", null),
      (it) => client.setKeepAlive(it),
    ],
    [
      "set options",
      "socket",
      "must be a TCP socket",
      [...sockets, ...types({}, [], new Map())],
      (it) => setOptions(it, { noDelay: true }),
    ],
    [
      "get options",
      "socket",
      "must be a TCP socket",
      [...sockets, ...types({})],
      (it) => getOptions(it),
    ],
    [
      "get TCP info",
      "socket",
      "must be a TCP socket",
      [...sockets, ...types({})],
      (it) => tcpInfo(it),
    ],
    ["make a deadline", "ms", "must be a finite number of milliseconds", [
      ...types(undefined, null, "5", 5n),
      ...ranges(NaN, Infinity, -Infinity),
    ], (it) => Deadline.after(it)],
  ];
}

test("bad input: arguments of every other call", async () => {
  using sockets = await pair();
  const before = descriptors();
  for (const [verb, name, says, bad, call] of wrongArguments(sockets)) {
    for (const [value, kind, shown] of bad) {
      const message = `Cannot ${verb} as '${name}' ${says}: current value is ${shown}`;
      await expect(`${verb} ${name} ${shown}`, () => call(value as never), kind, message);
    }
  }
  assertEquals(descriptors(), before);
  verdict();
});

test("bad input: calls that were wrong leave nothing waiting", async () => {
  using sockets = await pair();
  const { client, server } = sockets;
  const into = new Uint8Array(4).fill(0xee);
  assertInstanceOf(await errorFrom(() => client.read(into, { timeout: -1 })), RangeError);
  assertInstanceOf(await errorFrom(() => server.write(into, { timeout: NaN })), RangeError);
  assertEquals([client.bytesRead, server.bytesWritten], [0, 0]);
  await server.write(new Uint8Array([1, 2]));
  const buffer = new Uint8Array(4);
  assertEquals(await client.read(buffer), 2);
  assertEquals(into, new Uint8Array(4).fill(0xee));
});

test("bad input: a bare descriptor, and the escape hatch", async () => {
  if (noKernel !== undefined) return;
  using sockets = await pair();
  const { client } = sockets;
  const before = client.getOptions();
  const says = "must be an integer from 0 to 2147483647";
  const bad = [...types(null, "3", 3n), ...ranges(-1, 1.5, NaN, 2 ** 31)];
  for (const [fd, kind, shown] of bad) {
    const message = (verb: string) => `Cannot ${verb} as 'fd' ${says}: current value is ${shown}`;
    const socket = { fd: fd as number };
    await expect(`fd ${shown}`, () => getOptions(socket), kind, message("get options"));
    await expect(
      `fd ${shown}`,
      () => setOptions(socket, { linger: 0 }),
      kind,
      message("set options"),
    );
  }
  // deno-lint-ignore no-explicit-any -- wrong on purpose
  const any = (value: unknown): any => value;
  const cases: [string, () => unknown, typeof TypeError | typeof RangeError][] = [
    ["level", () => getsockopt(client, any("1"), 9), TypeError],
    ["level", () => getsockopt(client, 1.5, 9), RangeError],
    ["name", () => getsockopt(client, 1, any(undefined)), TypeError],
    ["name", () => getsockopt(client, 1, NaN), RangeError],
    ["length", () => getsockopt(client, 1, 9, any("4")), TypeError],
    ["length", () => getsockopt(client, 1, 9, -1), RangeError],
    ["level", () => setsockopt(client, any(null), 9, 1), TypeError],
    ["name", () => setsockopt(client, 1, 2 ** 40, 1), RangeError],
    ["value", () => setsockopt(client, 1, 9, any("1")), TypeError],
    ["value", () => setsockopt(client, 1, 9, any(undefined)), TypeError],
    ["value", () => setsockopt(client, 1, 9, 1.5), RangeError],
    ["value", () => setsockopt(client, 1, 9, 2 ** 40), RangeError],
  ];
  for (const [name, call, kind] of cases) {
    const message = new RegExp(`^Cannot [sg]et.* as '${name}' must be .*: current value is .+$`);
    await expect(`${call}`, call, kind, message);
  }
  assertEquals(client.getOptions(), before);
  verdict();
});

test("bad input: getters run once, and what changes later changes nothing", async () => {
  let reads = 0;
  const options = {
    hostname: "127.0.0.1",
    port: 0,
    get timeout() {
      reads++;
      return reads === 1 ? patience : -1;
    },
  };
  const opening = listen(options);
  options.hostname = "192.0.2.1";
  using listener = await opening;
  assertEquals(reads, 1);
  assertEquals(listener.addr.hostname, "127.0.0.1");
  assert(listener.timeouts.read === patience);
});

test("options of every call: anything but a plain object is told", async () => {
  using sockets = await pair();
  const { client, listener } = sockets;
  class Limits {
    timeout = 5;
  }
  const calls: ((options: never) => Promise<unknown>)[] = [
    (options) => client.read(new Uint8Array(1), options),
    (options) => client.write(new Uint8Array(1), options),
    (options) => client.end(options),
    (options) => listener.accept(options),
    (options) => listener.drain(options),
    (options) => listener.shutdown(options),
    async (options) => await connect(options),
    async (options) => await listen(options),
    (options) => connect({ port: 1, timeout: 1_000, keepAlive: options, retry: options }),
  ];
  const { signal } = new AbortController();
  for (const call of calls) {
    for (const wrong of [signal, [], new Limits(), new Date(), Deadline.after(5), new Map(), 5]) {
      const error = await errorOf(call(wrong as never));
      assertInstanceOf(error, TypeError, String(error));
      assertMatch(error.message, /must be (an?( plain)?|a boolean or an) object/);
      if (wrong === signal && error.message.includes("'options'")) {
        assertMatch(error.message, /must be a plain object \(pass \{ signal \}\)/);
      }
    }
    const bare = Object.assign(Object.create(null), { unknown: 1 });
    assertMatch(
      (await errorOf(call(bare as never)) as Error).message,
      /'.*unknown' is not an option/,
    );
  }
});
