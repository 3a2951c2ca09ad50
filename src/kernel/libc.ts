/**
 * The C library's socket calls in one shape for every FFI, and the {@linkcode Kernel} made of them.
 */

import type { Kernel, KernelAccess } from "./kernel.ts";
import type { Obstacle } from "./obstacle.ts";
import { AF_INET, SOCK_STREAM } from "./sockaddr.ts";
import { errnoName } from "./system_error.ts";
import { host, isLittleEndian, type KnownSystem, knownSystem, systemName } from "./system.ts";

/** Parameter types: 32 bits, 64 bits, memory. Each runtime's binding translates these words. */
export type CType = "i32" | "u32" | "i64" | "buffer";

/**
 * Every function that is bound. All return `int`, for which no chunk that is sent or received is too large.
 *
 * `fcntl` is variadic: its third argument is passed in a register, but on Apple's arm64 as the first
 * one on the stack. So it is called with nine arguments: the third and the ninth, which is the first
 * on the stack, have the same value.
 * https://developer.apple.com/documentation/xcode/writing-arm64-code-for-apple-platforms
 */
export const signatures: Readonly<Record<CFunction, readonly CType[]>> = {
  setsockopt: ["i32", "i32", "i32", "buffer", "u32"],
  getsockopt: ["i32", "i32", "i32", "buffer", "buffer"],
  getsockname: ["i32", "buffer", "buffer"],
  getpeername: ["i32", "buffer", "buffer"],
  socket: ["i32", "i32", "i32"],
  bind: ["i32", "buffer", "u32"],
  connect: ["i32", "buffer", "u32"],
  listen: ["i32", "i32"],
  send: ["i32", "buffer", "i64", "i32"],
  recv: ["i32", "buffer", "i64", "i32"],
  poll: ["buffer", "i64", "i32"],
  shutdown: ["i32", "i32"],
  close: ["i32"],
  dup: ["i32"],
  getdtablesize: [],
  fcntl: ["i32", "i32", "i64", "i64", "i64", "i64", "i64", "i64", "i64"],
  if_nametoindex: ["buffer"],
};

export type CFunction = Exclude<keyof Libc, "errno" | "addressOf">;

/** The bound functions as an FFI offers them, and the way to errno. */
export interface Libc {
  setsockopt(fd: number, level: number, name: number, value: Uint8Array, size: number): number;
  getsockopt(fd: number, level: number, name: number, value: Uint8Array, size: Uint32Array): number;
  getsockname(fd: number, address: Uint8Array, size: Uint32Array): number;
  getpeername(fd: number, address: Uint8Array, size: Uint32Array): number;
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, size: number): number;
  connect(fd: number, address: Uint8Array, size: number): number;
  listen(fd: number, backlog: number): number;
  /** For 64 bits Deno calls fast only with a bigint: https://github.com/denoland/deno/pull/23983 */
  send(fd: number, data: Uint8Array, size: bigint, flags: number): number;
  recv(fd: number, into: Uint8Array, size: bigint, flags: number): number;
  poll(descriptors: Uint8Array, count: bigint, ms: number): number;
  shutdown(fd: number, how: number): number;
  close(fd: number): number;
  dup(fd: number): number;
  getdtablesize(): number;
  fcntl(fd: number, command: number, ...value: [...sixZeros: bigint[], value: bigint]): number;
  if_nametoindex(name: Uint8Array): number;
  addressOf(bytes: Uint8Array): number | bigint;
  /** The errno of the last failed call of this thread. */
  errno(): number;
}

/** File names under which the C library may be found, best first. */
export function libraryNames(): string[] {
  switch (knownSystem()) {
    case "linux":
      return ["libc.so.6", `libc.${muslName()}`];
    case "darwin":
      return ["libSystem.dylib"];
    case "freebsd":
      return ["libc.so.7"];
    default:
      return [];
  }
}

/** The end of the names of musl's files, whose library is also the loader of programs: Alpine Linux. */
export function muslName(): string {
  const { arch } = host();
  return `musl-${arch === "x64" ? "x86_64" : arch === "arm64" ? "aarch64" : arch}.so.1`;
}

/**
 * What `open` makes of the first library that it can open.
 *
 * @throws {Error} It can open none. This is what was wrong with the first one.
 */
export function openLibrary<Opened>(open: (file: string) => Opened): Opened {
  let failure: unknown;
  for (const file of libraryNames()) {
    try {
      return open(file);
    } catch (cause) {
      failure ??= cause;
    }
  }
  throw failure;
}

/** Name of the function that returns the address of errno. */
export function errnoFunction(): string {
  return knownSystem() === "linux" ? "__errno_location" : "__error";
}

/** Declares all functions as an FFI wants it. The one for errno returns a pointer. */
export function declarations(
  declare: (parameters: readonly CType[], result: "i32" | "pointer") => object,
): Record<string, object> {
  const all: Record<string, object> = { [errnoFunction()]: declare([], "pointer") };
  for (const [name, parameters] of Object.entries(signatures)) {
    all[name] = declare(parameters, "i32");
  }
  return all;
}

/** Why no FFI would help on this system, or `undefined` where it does. */
export function noLibrary(): Obstacle | undefined {
  if (libraryNames().length > 0) return undefined;
  return knownSystem() === "windows"
    ? { reason: "no runtime on Windows shows the handle of its sockets" }
    : { reason: `kernel numbers of ${systemName()} are not known to this library` };
}

/**
 * Flags for `send` and `recv`: MSG_DONTWAIT, and MSG_NOSIGNAL, which `recv` ignores. On other systems direct
 * transfers were never tested.
 */
const transferFlags: Partial<Record<KnownSystem, number>> = { linux: 0x40 | 0x4000 };

/** Flags beside the type by which `socket()` opens a non-blocking, close-on-exec one in one call. */
const socketFlags: Partial<Record<KnownSystem, number>> = {
  linux: 0o4000 | 0o2000000,
  freebsd: 0x20000000 | 0x10000000,
};

/** Duplicates a descriptor that no child process inherits, also not one that another thread starts now. */
const F_DUPFD_CLOEXEC: Partial<Record<KnownSystem, number>> = {
  linux: 1030,
  darwin: 67,
  freebsd: 17,
};
const F_SETFD = 2;
const F_SETFL = 4;
const FD_CLOEXEC = 1n;
const O_NONBLOCK_DARWIN = 4n;
const STDERR = 2;
const POLLOUT = 4;

/** Makes the system calls with what `load` returns, or says why there are none. */
export function kernelThrough(load: () => Libc): KernelAccess {
  const obstacle = noLibrary();
  if (obstacle !== undefined) return { obstacle };
  try {
    return { kernel: kernelOf(load()) };
  } catch (cause) {
    return { obstacle: { reason: `the C library cannot be loaded: ${cause}` } };
  }
}

export function kernelOf(libc: Libc): Kernel {
  const size = new Uint32Array(1);
  const flags = socketFlags[knownSystem() as KnownSystem];
  const dontWait = transferFlags[knownSystem() as KnownSystem];
  const transfer = (call: Libc["send"]) => (fd: number, data: Uint8Array) => {
    const size = call(fd, data, BigInt(data.length), dontWait!);
    if (size >= 0) return size;
    const error = libc.errno();
    return errnoName(error) === "EAGAIN" ? 0 : -error;
  };
  /** `struct pollfd`, of which the last two bytes are for the answer. */
  const pollfd = new Uint8Array(8);
  const fields = new DataView(pollfd.buffer);
  const orErrno = (result: number) => result < 0 ? -libc.errno() : result;
  const length = (result: number) => result < 0 ? -libc.errno() : size[0]!;
  const control = (fd: number, command: number, value: bigint) =>
    libc.fcntl(fd, command, value, 0n, 0n, 0n, 0n, 0n, value);
  return {
    setsockopt: (fd, level, name, value) =>
      orErrno(libc.setsockopt(fd, level, name, value, value.length)),
    getsockopt(fd, level, name, value) {
      size[0] = value.length;
      return length(libc.getsockopt(fd, level, name, value, size));
    },
    getsockname(fd, address) {
      size[0] = address.length;
      return length(libc.getsockname(fd, address, size));
    },
    getpeername(fd, address) {
      size[0] = address.length;
      return length(libc.getpeername(fd, address, size));
    },
    socket(domain, type, protocol) {
      const fd = orErrno(libc.socket(domain, type | (flags ?? 0), protocol));
      if (fd >= 0 && flags === undefined) {
        control(fd, F_SETFD, FD_CLOEXEC);
        control(fd, F_SETFL, O_NONBLOCK_DARWIN);
      }
      return fd;
    },
    bind: (fd, address) => orErrno(libc.bind(fd, address, address.length)),
    connect: (fd, address) => orErrno(libc.connect(fd, address, address.length)),
    listen: (fd, backlog) => orErrno(libc.listen(fd, backlog)),
    send: dontWait === undefined ? undefined : transfer(libc.send),
    receive: dontWait === undefined ? undefined : transfer(libc.recv),
    isWritable(fd) {
      fields.setInt32(0, fd, isLittleEndian);
      fields.setInt16(4, POLLOUT, isLittleEndian);
      return libc.poll(pollfd, 1n, 0) > 0;
    },
    shutdown: (fd, how) => orErrno(libc.shutdown(fd, how)),
    close: (fd) => orErrno(libc.close(fd)),
    dup: (fd) => orErrno(control(fd, F_DUPFD_CLOEXEC[knownSystem()!]!, 0n)),
    addressOf: (bytes) => BigInt(libc.addressOf(bytes)),
    closeOnExec: (fd) => orErrno(control(fd, F_SETFD, FD_CLOEXEC)),
    errno: () => libc.errno(),
    interfaceIndex: (name) => libc.if_nametoindex(new TextEncoder().encode(`${name}\0`)),
    descriptorLimit: () => libc.getdtablesize(),
    lowestFree() {
      let fd = libc.dup(STDERR);
      if (fd < 0) fd = libc.socket(AF_INET, SOCK_STREAM, 0);
      if (fd < 0) return -libc.errno();
      libc.close(fd);
      return fd;
    },
  };
}
