/** Selects sockets by kind, port and address, or by a function. */

import { checkInteger, copyOptions, fail } from "../check.ts";
import type { SocketEntry } from "../kernel/entry.ts";
import { parse, unmapped } from "../kernel/sockaddr.ts";
import { kernelFor } from "../options/support.ts";

/**
 * Selects the sockets that meet all criteria, or those for which a function returns `true`. The function must
 * not be async.
 */
export type SocketFilter = SocketCriteria | ((entry: SocketEntry) => boolean);

/**
 * The criteria of a {@linkcode SocketFilter}. Every socket meets a criterion that is left out. No listener
 * meets a criterion about the remote end.
 */
export interface SocketCriteria {
  /** Connections or listeners only. */
  kind?: SocketEntry["kind"];
  /** Port of our end, or several, 1-65535. */
  localPort?: number | readonly number[];
  /** Port of the peer, or several, 1-65535. */
  remotePort?: number | readonly number[];
  /** IP address of our end, or a CIDR prefix such as `"10.0.0.0/8"`. A scope is a name or a number. */
  localAddress?: string;
  /** IP address of the peer, or a CIDR prefix such as `"fd00::/8"`. */
  remoteAddress?: string;
}

/** A filter, converted to a function. */
export type Matches = (entry: SocketEntry) => boolean;

export const criteria: readonly string[] = [
  "kind",
  "localPort",
  "remotePort",
  "localAddress",
  "remoteAddress",
];

/**
 * Checks a filter and converts it to a function. `undefined` selects every socket.
 *
 * @throws {TypeError | RangeError} A criterion is unknown or out of range.
 */
export function checkFilter(filter: unknown, verb: string): Matches {
  if (filter === undefined) return () => true;
  if (typeof filter === "function") {
    return (entry) => {
      const selected: unknown = filter(entry);
      // A promise would select every socket, whatever it resolves to.
      if (!(selected instanceof Promise)) return Boolean(selected);
      selected.catch(() => {});
      throw new TypeError(`Cannot ${verb} as the filter must not return a promise`);
    };
  }
  const given = copyOptions(filter, criteria, verb);
  const { kind } = given;
  if (kind !== undefined && kind !== "connection" && kind !== "listener") {
    fail(TypeError, verb, "kind", `must be "connection" or "listener"`, kind);
  }
  const tests: Matches[] = [];
  if (kind !== undefined) tests.push((entry) => entry.kind === kind);
  for (const end of ["local", "remote"] as const) {
    const addressOf = (entry: SocketEntry) => end === "local" ? entry.localAddr : entry.remoteAddr;
    const [port, address] = [given[`${end}Port`], given[`${end}Address`]];
    if (port !== undefined) {
      const ports = checkPorts(port, `${end}Port`, verb);
      tests.push((entry) => ports.has(addressOf(entry)?.port ?? -1));
    }
    if (address !== undefined) {
      const within = checkPrefix(address, `${end}Address`, verb);
      tests.push((entry) => within(addressOf(entry)?.hostname ?? ""));
    }
  }
  return (entry) => tests.every((test) => test(entry));
}

function checkPorts(value: unknown, name: string, verb: string): Set<number> {
  const ports: unknown[] = Array.isArray(value) ? value : [value];
  if (ports.length === 0) {
    fail(TypeError, verb, name, "must be a port, or several of them", value);
  }
  return new Set(ports.map((port) => checkInteger(port, name, 1, 65_535, verb)));
}

/** Checks a prefix. The returned function tells whether an address has it. Mapped IPv4 counts as IPv4. */
function checkPrefix(value: unknown, name: string, verb: string): (address: string) => boolean {
  const expected = "must be an IP address or a CIDR prefix";
  if (typeof value !== "string") fail(TypeError, verb, name, expected, value);
  const [, text = "", scope, bits] = /^([^%/]*)(?:%([^/]+))?(?:\/(\d{1,3}))?$/.exec(value) ?? [];
  const given = 8 * (parse(text)?.length ?? 0);
  const prefix = parse(unmapped(text));
  const long = 8 * (prefix?.length ?? 0);
  // The bits before the IPv4 address in IPv6 notation do not count.
  const length = Number(bits ?? given) - (given - long);
  const zone = scope === undefined ? 0 : zoneOf(scope);
  if (prefix === undefined || !(length >= 0 && length <= long) || zone === undefined) {
    fail(RangeError, verb, name, expected, value);
  }
  return (hostname) => {
    const [address = "", number] = hostname.split("%", 2);
    const bytes = parse(address);
    if (bytes?.length !== prefix.length || zone > 0 && zone !== Number(number)) return false;
    return samePrefix(bytes, prefix, length);
  };
}

/** The number of a scope, which may be an interface's name. `undefined`: there is no such interface. */
function zoneOf(scope: string): number | undefined {
  if (/^\d+$/.test(scope)) return Number(scope);
  return kernelFor("sockets").interfaceIndex(scope) || undefined;
}

function samePrefix(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (a[i] !== b[i]) return false;
  const rest = bits & 7;
  return rest === 0 || (a[whole]! ^ b[whole]!) >> (8 - rest) === 0;
}
