/**
 * The system calls that an adapter offers, as a type. What needs them takes one as an argument.
 *
 * @module
 */

import type { Obstacle } from "./obstacle.ts";

/** The system calls, or why there are none. */
export type KernelAccess =
  | { readonly kernel: Kernel; readonly obstacle?: undefined }
  | { readonly kernel?: undefined; readonly obstacle: Obstacle };

/**
 * System calls on descriptors, over the runtime's FFI. Numbers are raw: a result below 0 is
 * `-errno`. No method throws and none keeps its arguments.
 */
export interface Kernel {
  /** Answers 0 or -errno. */
  setsockopt(fd: number, level: number, name: number, value: Uint8Array): number;
  /** Fills `value` and answers the length the kernel wrote, or -errno. */
  getsockopt(fd: number, level: number, name: number, value: Uint8Array): number;
  /** Fills `address` with a sockaddr and answers its length, or -errno. */
  getsockname(fd: number, address: Uint8Array): number;
  getpeername(fd: number, address: Uint8Array): number;
  /** Answers a new descriptor (close-on-exec, non-blocking), or -errno. */
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array): number;
  /** Starts the handshake; on a descriptor of `socket` that is usually -EINPROGRESS. */
  connect(fd: number, address: Uint8Array): number;
  listen(fd: number, backlog: number): number;
  shutdown(fd: number, how: number): number;
  close(fd: number): number;
  /** Answers a second descriptor (close-on-exec) for the same socket, or -errno. */
  dup(fd: number): number;
  /** Where `bytes` are in memory, for a struct that refers to them; valid while they are alive. */
  addressOf(bytes: Uint8Array): bigint;
  /** Children of this process do not inherit the descriptor. */
  closeOnExec(fd: number): number;
  /** What the last failed call of this thread left behind, also one of the runtime's own. */
  errno(): number;
  /** All descriptors of this process are below this number. */
  descriptorLimit(): number;
  /** The lowest descriptor that is free right now, or -errno. Leaves nothing open. */
  lowestFree(): number;
}
