/**
 * Starts a guard from environment variables, for programs whose code cannot be changed:
 *
 *     node --import @holdfast/tcp/guard app.js
 *     bun --preload @holdfast/tcp/guard app.ts
 *     deno run --preload jsr:@holdfast/tcp/guard app.ts
 *
 * | variable                     | example         | what                                              |
 * | ---------------------------- | --------------- | ------------------------------------------------- |
 * | `HOLDFAST_KEEPALIVE`         | `60s,10s,3`     | idle time, interval, count; the last two optional |
 * | `HOLDFAST_USER_TIMEOUT`      | `30s`           | `userTimeout`                                     |
 * | `HOLDFAST_DEAD_PEER_TIMEOUT` | `20s`           | `deadPeerTimeout`, instead of both                |
 * | `HOLDFAST_PORTS`             | `5432,6379`     | sockets with one of these at either end, not all  |
 *
 * Times are numbers with `ms`, `s`, `m` or `h`. A wrong value ends the process at once with a message. An
 * option that cannot be set here is reported once. The main thread's guard sees the sockets of all threads, so
 * there is none in workers.
 *
 * @module
 */

import { guard, type GuardOptions, type SocketEntry, UnsupportedOptionError } from "../mod.ts";

interface Modules {
  "node:diagnostics_channel": {
    channel(name: string): { subscribe(listener: (message: unknown) => void): void };
  };
  "node:worker_threads": { readonly isMainThread: boolean };
}

interface Process {
  readonly env: Record<string, string | undefined>;
  exit(code: number): never;
  getBuiltinModule<Name extends keyof Modules>(name: Name): Modules[Name];
}

const { process } = globalThis as unknown as { process: Process };
const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

function say(text: string): void {
  console.error(`holdfast: ${text}`);
}

function wrong(name: string, expected: string): never {
  throw new RangeError(
    `${name} must be ${expected}: current value is ${JSON.stringify(process.env[name])}`,
  );
}

/** The parts of a variable, or `undefined` when it is not set. */
function parts(name: string): string[] | undefined {
  const text = process.env[name];
  return text === undefined ? undefined : text.split(",").map((part) => part.trim());
}

/** Converts a time to ms. */
function time(name: string, text: string, expected: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? wrong(name, expected);
  return Number(number) * units[unit!]!;
}

function oneTime(name: string): number | undefined {
  const given = parts(name);
  if (given === undefined) return undefined;
  const expected = "a time such as 30s";
  return given.length === 1 ? time(name, given[0]!, expected) : wrong(name, expected);
}

function keepAlive(): GuardOptions["keepAlive"] {
  const name = "HOLDFAST_KEEPALIVE";
  const given = parts(name);
  if (given === undefined) return undefined;
  const expected = "idle time, interval and count such as 60s,10s,3";
  const [idle, interval, count, ...more] = given;
  if (more.length > 0 || count !== undefined && !/^\d+$/.test(count)) wrong(name, expected);
  return {
    idle: time(name, idle!, expected),
    interval: interval === undefined ? undefined : time(name, interval, expected),
    count: count === undefined ? undefined : Number(count),
  };
}

function match(): GuardOptions["match"] {
  const name = "HOLDFAST_PORTS";
  const given = parts(name);
  if (given === undefined) return undefined;
  const ports = new Set(given.map((part) => {
    const port = /^\d{1,5}$/.test(part) ? Number(part) : 0;
    return port >= 1 && port <= 65_535 ? port : wrong(name, "ports such as 5432,6379");
  }));
  return ({ localAddr, remoteAddr }) =>
    ports.has(localAddr.port) || remoteAddr !== undefined && ports.has(remoteAddr.port);
}

/** Starts the guard with the options that can be set here. */
function start(options: GuardOptions): void {
  const wanted = Object.keys(options).filter((key) => key !== "match");
  if (wanted.length === 0) {
    return say(
      "nothing to do: set HOLDFAST_KEEPALIVE, HOLDFAST_USER_TIMEOUT or " +
        "HOLDFAST_DEAD_PEER_TIMEOUT",
    );
  }
  try {
    guard(options);
  } catch (error) {
    if (!(error instanceof UnsupportedOptionError)) throw error;
    say(error.message);
    const key = error.option.split(".")[0]!;
    // If no option can be set, the message is not about this one.
    if (!wanted.includes(key) || wanted.length === 1) return;
    const { [key as keyof GuardOptions]: _, ...rest } = options;
    start(rest);
  }
}

/** Kept here, since Bun forgets the subscribers of a channel that nobody keeps (see events.ts). */
const channel = process.getBuiltinModule("node:diagnostics_channel").channel("holdfast.guard");

/** Prints a message once when the kernel refuses an option. */
function sayFailures(): void {
  let said = false;
  channel.subscribe((message) => {
    const { event, socket, code } = message as { event: string; socket: SocketEntry; code: string };
    if (said || event !== "failed") return;
    said = true;
    say(`the kernel refuses an option for the socket ${socket.fd} (${code})`);
  });
}

/** Node.js also preloads in each worker, where a guard would not know which sockets of other threads are ours. */
const { isMainThread } = process.getBuiltinModule("node:worker_threads");

try {
  const options = {
    keepAlive: keepAlive(),
    userTimeout: oneTime("HOLDFAST_USER_TIMEOUT"),
    deadPeerTimeout: oneTime("HOLDFAST_DEAD_PEER_TIMEOUT"),
    match: match(),
  };
  if (isMainThread) {
    sayFailures();
    start(
      Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
    );
  }
} catch (error) {
  say((error as Error).message);
  process.exit(1);
}
