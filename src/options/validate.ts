/** Checks everything that callers pass, before anything happens. */

import { systemName } from "../kernel/system.ts";
import type { ListenPlan } from "../kernel/listening.ts";
import type { Target } from "../adapter.ts";
import type { CallOptions } from "../time/calls.ts";
import {
  checkFlag,
  checkInteger,
  checkPlain,
  checkTime,
  copyOptions,
  fail,
  mayBeHostname,
  type Options,
} from "../check.ts";
import { bytesOf, hasMemory } from "../memory.ts";
import { Deadline } from "../time/deadline.ts";
import type {
  ConnectTimeouts,
  ListenTimeouts,
  RetryOptions,
  SocketOptions,
  Timeouts,
} from "./types.ts";
import { checkDial, dialKeys, type DialPlan, refuseEarly } from "./dial.ts";
import { socketKeys, type SocketPlan, socketPlan } from "./plan.ts";
import { checkServerTls, checkTls, type ClientPlan, type ServerPlan } from "../tls/options.ts";

/** The limits of `connect`, and of the connection that it opens. */
interface ConnectLimits {
  readonly timeouts: ConnectTimeouts;
  readonly deadline: Deadline | undefined;
  readonly signal: AbortSignal | undefined;
}

/** What `connect` has to do: its options, checked. */
export interface ConnectPlan extends ConnectLimits {
  readonly target: Target;
  readonly socket: SocketPlan;
  readonly dial: DialPlan;
  readonly tls: ClientPlan | undefined;
}

/** What `listen` has to do: its options, checked. */
export interface ListenOptionsPlan {
  readonly listen: ListenPlan;
  readonly maxPending: number;
  readonly timeouts: ListenTimeouts;
  readonly socket: SocketPlan;
  readonly tls: ServerPlan | undefined;
}

const limitKeys = ["timeout", "deadline", "signal"];
const connectKeys = ["hostname", "port", ...limitKeys, "tls", ...dialKeys, ...socketKeys];
const addressKeys = ["hostname", "port", "reuseAddress", "reusePort", "ipv6Only"];
const listenKeys = [...addressKeys, "timeout", "backlog", "maxPending", "fd", "tls", ...socketKeys];

export function checkConnect(options: unknown): ConnectPlan {
  const verb = "connect";
  const given = copyOptions(options, connectKeys, verb);
  const host = hostname(given, "127.0.0.1", verb);
  return {
    target: { hostname: host, port: checkInteger(given.port, "port", 1, 65_535, verb) },
    ...connectLimits(given, verb),
    socket: withNoDelay(given, verb),
    dial: checkDial(given, verb),
    tls: given.tls === undefined || given.tls === false
      ? undefined
      : checkTls(given.tls, verb, "tls", host),
  };
}

export function checkListen(options: unknown): ListenOptionsPlan {
  const verb = "listen";
  const given = copyOptions(options, listenKeys, verb);
  const integer = (key: string, min: number) => checkOptional(given, key, min, verb);
  const fd = integer("fd", 0);
  if (fd !== undefined) {
    const beside = addressKeys.find((key) => given[key] !== undefined);
    if (beside !== undefined) {
      throw new TypeError(`Cannot listen as 'fd' must not be given beside '${beside}'`);
    }
  }
  const flag = (key: string) => optional(given[key], (on) => checkFlag(on, key, verb));
  const tls = optional(given.tls, (tls) => checkServerTls(tls, verb, "tls"));
  return {
    listen: {
      hostname: hostname(given, "0.0.0.0", verb),
      port: fd === undefined ? checkInteger(given.port, "port", 0, 65_535, verb) : 0,
      reuseAddress: flag("reuseAddress") ?? true,
      reusePort: flag("reusePort") ?? false,
      ipv6Only: flag("ipv6Only"),
      backlog: integer("backlog", 1),
      fd,
    },
    maxPending: integer("maxPending", 1) ?? defaultPending,
    timeouts: listenTimeouts(given.timeout, tls !== undefined, verb),
    socket: withNoDelay(given, verb),
    tls,
  };
}

/** What usually waits in the kernel at most (`net.core.somaxconn`). */
const defaultPending = 4_096;

export function isUnix(options: unknown): boolean {
  return typeof options === "object" && options !== null &&
    (options as Options)["path"] !== undefined;
}

/** What `connect` is to do with a Unix socket. */
export interface UnixConnectPlan extends ConnectLimits {
  readonly path: string;
}

export function checkConnectUnix(options: unknown): UnixConnectPlan {
  const verb = "connect";
  const given = copyUnix(options, limitKeys, connectKeys, verb);
  return {
    path: checkPath(given.path, verb),
    ...connectLimits(given, verb),
  };
}

export function checkListenUnix(
  options: unknown,
): { path: string; backlog: number | undefined; timeouts: ListenTimeouts } {
  const verb = "listen";
  const given = copyUnix(options, ["timeout", "backlog"], listenKeys, verb);
  return {
    path: checkPath(given.path, verb),
    backlog: checkOptional(given, "backlog", 1, verb),
    timeouts: listenTimeouts(given.timeout, false, verb),
  };
}

function copyUnix(
  options: unknown,
  own: readonly string[],
  all: readonly string[],
  verb: string,
): Options {
  const given = copyOptions(options, ["path", ...all], verb);
  const other = Object.keys(given)
    .find((key) => given[key] !== undefined && key !== "path" && !own.includes(key));
  if (other === undefined) return given;
  throw new TypeError(`Cannot ${verb} as '${other}' is for TCP: 'path' is a Unix socket's`);
}

/** The shortest `sun_path` of the systems is macOS's, with 104 bytes and a zero at the end. */
function checkPath(path: unknown, verb: string): string {
  const expected = "must be the path of a Unix socket, 1 to 103 bytes";
  if (typeof path !== "string") fail(TypeError, verb, "path", expected, path);
  const { length } = new TextEncoder().encode(path);
  if (length < 1 || length > 103) fail(RangeError, verb, "path", expected, path);
  if (path.lastIndexOf("\0") > 0 || path === "\0") fail(TypeError, verb, "path", expected, path);
  if (path.startsWith("\0") && systemName() !== "linux") {
    fail(TypeError, verb, "path", "must be a file: abstract names are Linux's", path);
  }
  return path;
}

/** The limit of a TLS handshake when no other limit is given, ms. */
const longestHandshake = 10_000;

function listenTimeouts(value: unknown, secure: boolean, verb: string): ListenTimeouts {
  const named = typeof value === "object" && value !== null;
  const { handshake, ...rest } = (named ? checkPlain(value, verb, "timeout") : {}) as Options;
  if (handshake !== undefined && !secure) {
    throw new TypeError(`Cannot ${verb} as 'timeout.handshake' is for 'tls' only`);
  }
  const { accept, ...io } = named
    ? timeouts(rest, ["accept", "read", "write"], verb, secure ? ["handshake"] : [])
    : { ...timeouts(value, ["read", "write"], verb), accept: null };
  if (!secure) return { accept, ...io };
  const limit = optional(handshake, (limit) => checkTime(limit, "timeout.handshake", verb));
  return { accept, ...io, handshake: limit ?? io.read ?? longestHandshake };
}

/** What `connector` has to do for each socket. */
export interface ConnectorPlan {
  readonly timeout: number | null;
  readonly retry: Required<RetryOptions> | undefined;
  /** Socket options that were checked, and are passed to `setOptions` as the caller gave them. */
  readonly socket: SocketOptions;
}

export function checkConnector(options: unknown): ConnectorPlan {
  const verb = "make a connector";
  const given = copyOptions(options, ["timeout", "retry", ...socketKeys], verb);
  const { timeout: limit, retry, noDelay = true, ...rest } = given;
  const socket: Options = { ...rest, noDelay };
  socketPlan(socket, verb);
  refuseEarly(socket);
  return {
    timeout: timeout(limit, "timeout", verb),
    retry: checkDial({ retry }, verb).retry,
    socket: socket as SocketOptions,
  };
}

export function checkWrap(options: unknown): Timeouts {
  return timeouts(copyOptions(options, ["timeout"], "wrap").timeout, ["read", "write"], "wrap");
}

export function checkSocketOptions(options: unknown, verb: string): SocketPlan {
  return socketPlan(copyOptions(options, socketKeys, verb), verb);
}

/** Checks the argument of `setTimeouts`, in which both limits may be left out. */
export function checkTimeouts(options: unknown): Partial<Timeouts> {
  const verb = "set timeouts";
  const { read, write, idle } = copyOptions(options, ["read", "write", "idle"], verb);
  return {
    read: optional(read, (value) => timeout(value, "read", verb)),
    write: optional(write, (value) => timeout(value, "write", verb)),
    idle: optional(idle, (value) => timeout(value, "idle", verb)),
  };
}

/** Checks the options of a `read`, `write` or `accept`. It copies no keys, as it runs at every call. */
export function checkCall(
  options: unknown,
  verb: "read" | "write" | "accept" | "end" | "drain" | "shut down" | "start TLS",
): CallOptions {
  checkPlain(options, verb);
  for (const key in options as object) {
    if (key === "timeout" || key === "deadline" || key === "signal") continue;
    copyOptions(options, limitKeys, verb);
  }
  const { timeout: limit, deadline, signal } = options as Options;
  return {
    timeout: limit === undefined ? undefined : timeout(limit, "timeout", verb),
    deadline: checkDeadline(deadline, verb),
    signal: checkSignal(signal, verb),
  };
}

/** Checks memory to read into or write from. Only the returned array must be used, not the argument. */
export function checkData(
  data: unknown,
  verb: "read" | "write",
  name: "into" | "data" | "chunk",
): Uint8Array {
  const bytes = bytesOf(data) ?? fail(TypeError, verb, name, "must be a Uint8Array", data);
  if (bytes.length === 0 && !hasMemory(bytes)) {
    // To read into it forever, or to write nothing, would look like success.
    throw new TypeError(`Cannot ${verb} as the memory of '${name}' was transferred or resized`);
  }
  return bytes;
}

function checkOptional(given: Options, key: string, min: number, verb: string): number | undefined {
  return optional(given[key], (value) => checkInteger(value, key, min, 2 ** 31 - 1, verb));
}

function optional<T>(value: unknown, check: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : check(value);
}

/** Nagle's algorithm is off by default on sockets of ours, since the runtimes' defaults differ. */
function withNoDelay(given: Record<string, unknown>, verb: string): SocketPlan {
  if (given.noDelay === undefined) given.noDelay = true;
  return socketPlan(given, verb);
}

function hostname({ hostname }: Options, otherwise: string, verb: string): string {
  if (hostname === undefined) return otherwise;
  const expected = "must be a host name or an IP address";
  if (typeof hostname !== "string") fail(TypeError, verb, "hostname", expected, hostname);
  const name = /^\[.*:.*\]$/.test(hostname) ? hostname.slice(1, -1) : hostname;
  if (!mayBeHostname(name)) fail(TypeError, verb, "hostname", expected, hostname);
  return name;
}

/** Checks a time limit. No limit has to be written as `null`, so that it is never an oversight. */
function timeout(value: unknown, name: string, verb: string): number | null {
  if (value === null) return null;
  return checkTime(value, name, verb, "must be a positive number of milliseconds or null");
}

function timeouts<Key extends string>(
  value: unknown,
  keys: readonly Key[],
  verb: string,
  others: readonly string[] = [],
): Record<Key, number | null> & { idle?: number | null } {
  const named = typeof value === "object" && value !== null;
  const given = named
    ? copyOptions(value, [...keys, "idle", ...others], verb, "timeout")
    : undefined;
  const result = {} as Record<Key | "idle", number | null>;
  for (const key of keys) {
    result[key] = given === undefined
      ? timeout(value, "timeout", verb)
      : timeout(given[key], `timeout.${key}`, verb);
  }
  if (given?.idle !== undefined) result.idle = timeout(given.idle, "timeout.idle", verb);
  return result;
}

function connectLimits({ timeout, deadline, signal }: Options, verb: string): ConnectLimits {
  return {
    timeouts: timeouts(timeout, ["connect", "read", "write"], verb),
    deadline: checkDeadline(deadline, verb),
    signal: checkSignal(signal, verb),
  };
}

function checkDeadline(deadline: unknown, verb: string): Deadline | undefined {
  if (deadline !== undefined && !(deadline instanceof Deadline)) {
    fail(TypeError, verb, "deadline", "must be a Deadline", deadline);
  }
  return deadline;
}

function checkSignal(signal: unknown, verb: string): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  if (!(signal instanceof AbortSignal)) {
    fail(TypeError, verb, "signal", "must be an AbortSignal", signal);
  }
  return signal;
}
