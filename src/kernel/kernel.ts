/**
 * The type of the system calls that an adapter offers. Whoever needs them gets them as an argument.
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
  /** Returns 0 or -errno. */
  setsockopt(fd: number, level: number, name: number, value: Uint8Array): number;
  /** Fills `value` and returns the length that the kernel wrote, or -errno. */
  getsockopt(fd: number, level: number, name: number, value: Uint8Array): number;
  /** Fills `address` with a sockaddr and returns its length, or -errno. */
  getsockname(fd: number, address: Uint8Array): number;
  getpeername(fd: number, address: Uint8Array): number;
  /** Returns a new descriptor (close-on-exec, non-blocking), or -errno. */
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array): number;
  /** Starts the handshake and returns 0 or -errno: usually -EINPROGRESS, as `socket` does not block. */
  connect(fd: number, address: Uint8Array): number;
  listen(fd: number, backlog: number): number;
  /**
   * Sends as much as the kernel takes at once. Returns how many bytes, 0 when it would have to wait, or
   * -errno. Only on systems on which it was tested.
   */
  readonly send?: ((fd: number, data: Uint8Array) => number) | undefined;
  /** Receives what the kernel has. Returns as `send` does, and 0 also at the end. */
  readonly receive?: ((fd: number, into: Uint8Array) => number) | undefined;
  /** Whether a write would not have to wait, as the socket has room or has failed. */
  isWritable(fd: number): boolean;
  shutdown(fd: number, how: number): number;
  close(fd: number): number;
  /** Returns a second descriptor (close-on-exec) for the same socket, or -errno. */
  dup(fd: number): number;
  /** The memory address of `bytes`, for a struct that points to them. Valid while `bytes` are alive. */
  addressOf(bytes: Uint8Array): bigint;
  /** Keeps child processes from inheriting the descriptor. */
  closeOnExec(fd: number): number;
  /** The errno of this thread's last failed call, which may have been one of the runtime's own. */
  errno(): number;
  /** Returns the number of a network interface, or 0 when there is none of that name. */
  interfaceIndex(name: string): number;
  /** Every descriptor of this process is below this number. */
  descriptorLimit(): number;
  /** Returns the lowest descriptor that is free right now, or -errno. Leaves nothing open. */
  lowestFree(): number;
}
