/** System calls through `Deno.dlopen`. */

import type { KernelAccess } from "../../kernel/kernel.ts";
import {
  declarations,
  errnoFunction,
  kernelThrough,
  type Libc,
  noLibrary,
  openLibrary,
  transferFlags,
} from "../../kernel/libc.ts";
import { errnoName } from "../../kernel/system_error.ts";
import { deno, isGranted } from "./deno.ts";

/**
 * Sends as much as the kernel takes at once, or receives what it has. Returns the number of bytes, or
 * -errno. 0 means that it would have to wait, or the end.
 */
export type Transfer = (fd: number, data: Uint8Array) => number;

export interface Transfers {
  readonly send: Transfer;
  readonly receive: Transfer;
}

let kept: KernelAccess | undefined;
let direct: Transfers | undefined;
let poll: ((descriptors: Uint8Array, count: bigint, ms: number) => number) | undefined;

/** Returns the system calls, or why there are none. Loads them once it may, and never prompts. */
export function loadKernel(): KernelAccess {
  if (kept !== undefined) return kept;
  if (!isGranted({ name: "ffi" }) && noLibrary() === undefined) {
    // This result is not kept, as the permission may be granted later.
    const reason = "the permission to call the system's C library is missing";
    return { obstacle: { reason, remedy: "needs --allow-ffi" } };
  }
  return kept = kernelThrough(load);
}

/** `send(2)` and `recv(2)`, where there are system calls. */
export function transfers(): Transfers | undefined {
  loadKernel();
  return direct;
}

const POLLOUT = 4;
/** `struct pollfd`. */
const pollfd = new Uint8Array(8);
const fields = new DataView(pollfd.buffer);

/** Whether a handshake has succeeded or failed. */
export function hasEnded(fd: number): boolean {
  fields.setInt32(0, fd, true);
  fields.setInt16(4, POLLOUT, true);
  return poll!(pollfd, 1n, 0) > 0;
}

function load(): Libc {
  const { dlopen, UnsafePointer, UnsafePointerView } = deno();
  const symbols = declarations((parameters, result) => ({ parameters, result }));
  // A result of 32 bits is enough, since no chunk is that large.
  symbols.send = symbols.recv = {
    parameters: ["i32", "buffer", "usize", "i32"],
    result: "i32",
  };
  symbols.poll = { parameters: ["buffer", "usize", "i32"], result: "i32" };
  return openLibrary((file) => {
    const libc = dlopen(file, symbols).symbols;
    const location = libc[errnoFunction()] as () => unknown;
    const errno = () => new UnsafePointerView(location()).getInt32();
    poll = libc.poll as typeof poll;
    direct = transfersOf(libc.send as TransferFunction, libc.recv as TransferFunction, errno);
    const addressOf = (bytes: Uint8Array) => UnsafePointer.value(UnsafePointer.of(bytes));
    return { ...libc as unknown as Libc, errno, addressOf };
  });
}

type TransferFunction = (fd: number, data: Uint8Array, size: bigint, flags: number) => number;

function transfersOf(
  send: TransferFunction,
  recv: TransferFunction,
  errno: () => number,
): Transfers | undefined {
  const flags = transferFlags();
  if (flags === undefined) return undefined;
  const transfer = (call: TransferFunction): Transfer => (fd, data) => {
    // For 64 bits Deno calls fast only with a bigint: https://github.com/denoland/deno/pull/23983
    const size = call(fd, data, BigInt(data.length), flags);
    if (size >= 0) return size;
    const error = errno();
    return errnoName(error) === "EAGAIN" ? 0 : -error;
  };
  return { send: transfer(send), receive: transfer(recv) };
}
