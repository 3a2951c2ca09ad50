/** Opens TCP sockets, asks the kernel what one is and how it ended, and ends it. */

import type { Kernel } from "./kernel.ts";
import { constants } from "./constants.ts";
import { AF_INET, AF_INET6, decode, familyIn, SOCK_STREAM, SOCKADDR_SIZE } from "./sockaddr.ts";
import { type KnownSystem, knownSystem } from "./system.ts";
import { errnoName, Refusal, succeed } from "./system_error.ts";

const IPPROTO_TCP = 6;
/** Multipath TCP takes TCP's options: https://docs.kernel.org/networking/mptcp.html */
const IPPROTO_MPTCP = 262;

/** Arguments of `shutdown(2)`: ends sending, or both directions. The same numbers on every system. */
export const SHUT_WR = 1;
export const SHUT_RDWR = 2;

const four = new Uint8Array(4);
const number = new Int32Array(four.buffer);
const address = new Uint8Array(SOCKADDR_SIZE);

/** Reads a socket option that is an `int`, or returns -errno: no value used here is negative. */
export function readInt(kernel: Kernel, fd: number, level: number, name: number): number {
  const length = kernel.getsockopt(fd, level, name, four);
  return length < 0 ? length : number[0]!;
}

/** Sets a socket option that is an `int`. Returns 0 or -errno. */
export function writeInt(
  kernel: Kernel,
  fd: number,
  level: number,
  name: number,
  value: number,
): number {
  number[0] = value;
  return kernel.setsockopt(fd, level, name, four);
}

/** Whether `fd` is a TCP socket: true, false, or -errno. */
function isTcp(kernel: Kernel, fd: number): boolean | number {
  const { SOL_SOCKET, SO_PROTOCOL, SO_TYPE } = constants;
  if (SO_PROTOCOL !== undefined) {
    const protocol = readInt(kernel, fd, SOL_SOCKET!, SO_PROTOCOL);
    return protocol < 0 ? protocol : protocol === IPPROTO_TCP || protocol === IPPROTO_MPTCP;
  }
  // macOS has no SO_PROTOCOL, but there every stream socket of an internet family is TCP.
  const type = readInt(kernel, fd, SOL_SOCKET!, SO_TYPE!);
  if (type < 0) return type;
  const length = kernel.getsockname(fd, address);
  if (length < 0) return length;
  const family = familyIn(address);
  return type === SOCK_STREAM && (family === AF_INET || family === AF_INET6[knownSystem()!]);
}

/**
 * Throws unless `fd` is a TCP socket.
 *
 * @throws {Refusal} `EBADF`: there is no such descriptor, so the socket is closed.
 * @throws {TypeError} It is not a socket, or not for TCP.
 */
export function verifyTcp(kernel: Kernel, fd: number): void {
  const tcp = isTcp(kernel, fd);
  if (tcp === true) return;
  const code = typeof tcp === "number" ? errnoName(-tcp) : "";
  if (code === "EBADF") throw closed();
  throw new TypeError(
    `Cannot use the socket as its descriptor must be a TCP socket: descriptor ${fd} is ${
      code === "ENOTSOCK" ? "not a socket" : "not TCP"
    }`,
  );
}

/**
 * Opens a socket of the family of `sockaddr`, calls `prepare` with it, and returns it. The caller has to
 * close it.
 *
 * @throws {SystemError} The kernel refused, or what `prepare` throws; nothing is left open then.
 */
export function openSocket(
  kernel: Kernel,
  sockaddr: Uint8Array,
  prepare: (fd: number) => void,
): number {
  const fd = succeed(kernel.socket(familyIn(sockaddr), SOCK_STREAM, 0), "socket");
  try {
    prepare(fd);
    return fd;
  } catch (error) {
    kernel.close(fd);
    throw error;
  }
}

/** The error for a socket that is closed. */
export function closed(detail?: string): Refusal {
  return new Refusal("EBADF", detail);
}

/** The error for a system call about a socket that returned `-errno`; `result` is that negative number. */
export function refused(result: number, detail?: string): Refusal {
  return new Refusal(errnoName(-result), detail);
}

/**
 * Sends RST at once and leaves the descriptor open, as if the peer had sent RST. On Linux, connect(2) to an
 * AF_UNSPEC address does the former; on other systems this function does nothing. After that the kernel
 * reports ECONNRESET once, and to later reads ENOTCONN, or with `shutdown` an end, as after a peer's RST.
 */
export function disconnect(kernel: Kernel, fd: number): void {
  const AF_UNSPEC = new Uint8Array(16);
  if (knownSystem() !== "linux") return;
  kernel.connect(fd, AF_UNSPEC);
  kernel.shutdown(fd, SHUT_RDWR);
}

/** `struct sk_meminfo`, which is an array (`linux/sock_diag.h`): these are places in it. */
const [received, sendBuffer, queued, drops] = [0, 3, 5, 8];
const memory = new Uint32Array(drops + 1);
const memoryBytes = new Uint8Array(memory.buffer);

/** The numbers of SO_MEMINFO (Linux 4.12) until the next call. `undefined` where they cannot be read. */
function memoryOf(kernel: Kernel, fd: number): Uint32Array | undefined {
  const { SOL_SOCKET, SO_MEMINFO } = constants;
  if (SO_MEMINFO === undefined) return undefined;
  const length = kernel.getsockopt(fd, SOL_SOCKET!, SO_MEMINFO, memoryBytes);
  return length < memoryBytes.length ? undefined : memory;
}

/** Whether the kernel takes more to send, as `poll` tells it. `true` where it cannot be asked. */
export function hasRoom(kernel: Kernel, fd: number): boolean {
  const numbers = memoryOf(kernel, fd);
  return numbers === undefined || numbers[queued]! * 3 < numbers[sendBuffer]! * 2;
}

/** Whether something has arrived and was not read. `true` where the kernel cannot be asked. */
export function hasUnread(kernel: Kernel, fd: number): boolean {
  return memoryOf(kernel, fd)?.[received] !== 0;
}

/**
 * How many packets the kernel has dropped at a socket, by a filter or for lack of room; 0 where it cannot
 * be asked.
 */
export function droppedPackets(kernel: Kernel, fd: number): number {
  return memoryOf(kernel, fd)?.[drops] ?? 0;
}

/** Whether a socket is connected. After a reset, or when both sides have finished, it is not any more. */
export function hasPeer(kernel: Kernel, fd: number): boolean {
  return kernel.getpeername(fd, address) >= 0;
}

export function kindOf(kernel: Kernel, fd: number): "connection" | "listener" {
  const { SOL_SOCKET, SO_ACCEPTCONN } = constants;
  const listens = readInt(kernel, fd, SOL_SOCKET!, SO_ACCEPTCONN!);
  return listens > 0 ? "listener" : "connection";
}

/** The IP version; `"mapped"` for an IPv6 socket that sends IPv4 packets, so IPv4's options count. */
export function familyOf(kernel: Kernel, fd: number): "4" | "6" | "mapped" {
  const decoded = decode(address, kernel.getsockname(fd, address));
  if (decoded === undefined || !decoded.hostname.includes(":")) return "4";
  // Of IPv6 addresses, only the mapped ones are written with dots.
  return decoded.hostname.includes(".") ? "mapped" : "6";
}

/** `possible` is set once any socket of this process was given `linger`. */
export const lingering: { possible: boolean } = { possible: false };

/** For how many s closing the socket may block: with 0 it sends RST. `undefined` when that is off. */
export function lingerOf(kernel: Kernel, fd: number): number | undefined {
  const { SOL_SOCKET, SO_LINGER, SO_LINGER_SEC } = constants;
  const linger = new Int32Array(2);
  const into = new Uint8Array(linger.buffer);
  const length = kernel.getsockopt(fd, SOL_SOCKET!, SO_LINGER_SEC ?? SO_LINGER!, into);
  return length === 8 && linger[0] !== 0 ? linger[1] : undefined;
}

/** Makes `close` send RST, by an SO_LINGER of 0 s. @throws {Refusal} The kernel refuses. */
export function lingerZero(kernel: Kernel, fd: number): void {
  setLinger(kernel, fd, 1);
}

/** Makes `close` leave what is unsent to the kernel. @throws {Refusal} The kernel refuses. */
export function lingerOff(kernel: Kernel, fd: number): void {
  setLinger(kernel, fd, 0);
}

function setLinger(kernel: Kernel, fd: number, on: 0 | 1): void {
  const { SOL_SOCKET, SO_LINGER, SO_LINGER_SEC } = constants;
  const onAndZero = new Uint8Array(new Int32Array([on, 0]).buffer);
  const result = kernel.setsockopt(fd, SOL_SOCKET!, SO_LINGER_SEC ?? SO_LINGER!, onAndZero);
  if (result < 0) throw refused(result);
}

/**
 * Not a public constant, since the kernel reports an error only once: whoever reads SO_ERROR takes the
 * error away from the `read` that should reject with it.
 */
const SO_ERROR: Partial<Record<KnownSystem, number>> = {
  linux: 4,
  darwin: 0x1007,
  freebsd: 0x1007,
};

/** Takes the pending error of a socket: 0 or -errno. The kernel does not report it again. */
export function takeError(kernel: Kernel, fd: number): number {
  const result = readInt(kernel, fd, constants.SOL_SOCKET!, SO_ERROR[knownSystem()!]!);
  return result > 0 ? -result : result;
}
