/**
 * Converts IP addresses between text and the kernel's `struct sockaddr`. Its layout is known only here.
 */

import type { NetAddr } from "./address.ts";
import { isLittleEndian, type KnownSystem, knownSystem } from "./system.ts";

/** Address family for IPv4, the same number everywhere. */
export const AF_INET = 2;

/** Address family for IPv6: every system chose its own number. */
export const AF_INET6: Readonly<Record<KnownSystem, number>> = {
  linux: 10,
  darwin: 30,
  freebsd: 28,
  windows: 23,
};

/** Address family of Unix sockets, the same number everywhere. */
export const AF_UNIX = 1;

/** Socket type for byte streams, the same number everywhere. */
export const SOCK_STREAM = 1;

/** Large enough for both families: `sizeof (struct sockaddr_in6)`. */
export const SOCKADDR_SIZE = 28;

/** Whether the first byte is `sa_len` and the second the family, instead of a 16-bit family. */
function hasLength(system: KnownSystem): boolean {
  return system === "darwin" || system === "freebsd";
}

/** The place of the family, or of its low byte. A family is a small number, so the other byte is 0. */
function familyPlace(system: KnownSystem): 0 | 1 {
  return !hasLength(system) && isLittleEndian ? 0 : 1;
}

export function familyIn(bytes: Uint8Array, system: KnownSystem = knownSystem()!): number {
  return bytes[familyPlace(system)]!;
}

/**
 * Returns the `struct sockaddr_in` or `sockaddr_in6` for an IP literal. `fe80::1%2` sets the scope; a
 * caller that has the name of a scope has to look its number up first.
 *
 * @throws TypeError if `address` is no IP literal.
 */
export function encode(
  address: string,
  port: number,
  system: KnownSystem = knownSystem()!,
): Uint8Array {
  const [literal = "", scope] = address.includes("%") ? address.split("%", 2) : [address];
  const ip = parse(literal);
  if (ip === undefined || scope !== undefined && !/^\d+$/.test(scope)) {
    throw new TypeError(
      `Cannot encode the address as it is no IP literal: current value is ${address}`,
    );
  }
  const six = ip.length === 16;
  const bytes = new Uint8Array(six ? 28 : 16);
  const family = six ? AF_INET6[system] : AF_INET;
  if (hasLength(system)) bytes[0] = bytes.length;
  bytes[familyPlace(system)] = family;
  bytes[2] = port >> 8;
  bytes[3] = port;
  bytes.set(ip, six ? 8 : 4);
  if (six && scope !== undefined) {
    // Unlike port and address, it is in the machine's byte order. A number that is too large must not be
    // another scope's. The kernel refuses the largest.
    new DataView(bytes.buffer).setUint32(24, Math.min(Number(scope), 2 ** 32 - 1), isLittleEndian);
  }
  return bytes;
}

/** Returns the `struct sockaddr_un` for a path, or for a name that begins with NUL (Linux). */
export function encodeUnix(path: string, system: KnownSystem = knownSystem()!): Uint8Array {
  const name = new TextEncoder().encode(path);
  // A path ends with NUL, and a name with the structure.
  const bytes = new Uint8Array(2 + name.length + (name[0] === 0 ? 0 : 1));
  if (hasLength(system)) bytes[0] = bytes.length;
  bytes[familyPlace(system)] = AF_UNIX;
  bytes.set(name, 2);
  return bytes;
}

/**
 * Decodes what `getsockname` or `getpeername` wrote, with the length that it returned. Returns `undefined`
 * for other families than IPv4 and IPv6. A scope other than 0 is appended as `%2`.
 */
export function decode(
  bytes: Uint8Array,
  length: number,
  system: KnownSystem = knownSystem()!,
): NetAddr | undefined {
  if (length < 16) return undefined;
  const family = familyIn(bytes, system);
  const port = bytes[2]! << 8 | bytes[3]!;
  if (family === AF_INET) {
    // Without views, which would cost more than the system call: each accept in Bun comes here.
    const hostname = `${bytes[4]}.${bytes[5]}.${bytes[6]}.${bytes[7]}`;
    return { transport: "tcp", hostname, port };
  }
  if (family !== AF_INET6[system] || length < 28) return undefined;
  const scope = new DataView(bytes.buffer, bytes.byteOffset).getUint32(24, isLittleEndian);
  const hostname = format(bytes.subarray(8, 24)) + (scope === 0 ? "" : `%${scope}`);
  return { transport: "tcp", hostname, port };
}

/**
 * Returns the address that the kernel will report for a connection to, or a listener at, `hostname`,
 * where that is known without asking. It is not for IPv6, which can be written in several ways, nor
 * for `0.0.0.0`, which stands for any address.
 */
export function knownAddress(hostname: string, port: number): NetAddr | undefined {
  if (hostname.includes(":") || hostname === "0.0.0.0") return undefined;
  // Connections to one server share the object, so it is frozen.
  if (known?.port !== port || known.hostname !== hostname) {
    known = Object.freeze({ transport: "tcp", hostname, port });
  }
  return known;
}

let known: NetAddr | undefined;

/** The 4 or 16 bytes of an IP literal in network order, or `undefined` when it is no IP literal. */
export function parse(literal: string): Uint8Array | undefined {
  if (!literal.includes(":")) return parse4(literal);
  const halves = literal.split("::");
  if (halves.length > 2) return undefined;
  const head = groups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? groups(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...tail]);
}

/** The address of one end of a connection as users see it. */
export function netAddr(hostname: string, port: number): NetAddr {
  return { transport: "tcp", hostname: unmapped(hostname), port };
}

/** The address of an end that cannot be known any more. */
export const nowhere: NetAddr = { transport: "tcp", hostname: "", port: 0 };

/** Writes IPv4-mapped IPv6 (`::ffff:192.0.2.1`) as IPv4, and other IPv6 in its shortest form. */
export function unmapped(literal: string): string {
  if (!literal.includes(":")) return literal;
  const [address = "", scope] = literal.split("%", 2);
  const ip = parse(address);
  if (ip === undefined) return literal;
  if (isMapped(ip)) return ip.subarray(12).join(".");
  return format(ip) + (scope === undefined ? "" : `%${scope}`);
}

/** The IP version of a literal, or `undefined` when it is none. */
export function versionOf(literal: string): 4 | 6 | undefined {
  if (!literal.includes(":")) return value4(literal) < 0 ? undefined : 4;
  return parse(literal) === undefined ? undefined : 6;
}

/** The same for a literal with or without a scope. */
export function literalVersion(hostname: string): 4 | 6 | undefined {
  return versionOf(hostname.includes("%") ? hostname.split("%", 1)[0]! : hostname);
}

function parse4(literal: string): Uint8Array | undefined {
  const value = value4(literal);
  return value < 0 ? undefined : Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/**
 * The number that an IPv4 literal stands for, or -1. It goes by characters, since every connect needs it
 * several times, and four strings and an array each time would cost it 4 %.
 */
export function value4(literal: string): number {
  let bytes = 0, digits = 0, byte = 0, value = 0;
  for (let i = 0; i <= literal.length; i++) {
    const digit = i === literal.length ? dot : literal.charCodeAt(i) - 48;
    if (digit === dot) {
      if (digits === 0 || ++bytes > 4) return -1;
      value = 256 * value + byte;
      digits = byte = 0;
      continue;
    }
    // Leading zeros are refused, as some parsers take them for octal.
    if (!(digit >= 0 && digit <= 9) || digits > 0 && byte === 0) return -1;
    digits++;
    byte = 10 * byte + digit;
    if (byte > 255) return -1;
  }
  return bytes === 4 ? value : -1;
}

const dot = ".".charCodeAt(0) - 48;

/** The bytes of groups such as `a:b:c`. With `last`, the last group may be a dotted IPv4 address. */
function groups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (last && index === parts.length - 1 && part.includes(".")) {
      const ip = parse4(part);
      if (ip === undefined) return undefined;
      bytes.push(...ip);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      const value = parseInt(part, 16);
      bytes.push(value >> 8, value & 255);
    }
  }
  return bytes;
}

/** Whether an IPv4 address in the notation of IPv6 begins at `from`. An IPv4 address itself is too short. */
export function isMapped(bytes: Uint8Array, from: number = 0): boolean {
  for (let i = 0; i < 10; i++) if (bytes[from + i] !== 0) return false;
  return bytes[from + 10] === 255 && bytes[from + 11] === 255;
}

/** RFC 5952: lower case, the longest run of zero groups (first of equals, two or more) as `::`. */
function format(ip: Uint8Array): string {
  if (isMapped(ip)) return `::ffff:${ip.subarray(12).join(".")}`;
  const parts = Array.from({ length: 8 }, (_, i) => ip[2 * i]! << 8 | ip[2 * i + 1]!);
  let start = 0, length = 1;
  for (let i = 0, run = 0; i < 8; i++) {
    run = parts[i] === 0 ? run + 1 : 0;
    if (run > length) [start, length] = [i - run + 1, run];
  }
  const text = (from: number, to: number) =>
    parts.slice(from, to).map((part) => part.toString(16)).join(":");
  return length < 2 ? text(0, 8) : `${text(0, start)}::${text(start + length, 8)}`;
}
