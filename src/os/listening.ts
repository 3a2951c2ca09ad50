/**
 * A listening socket made by system calls, for what a runtime's own `listen` cannot do.
 *
 * @module
 */

import type { Kernel, ListenPlan } from "../adapter.ts";
import { encode, familyOf, SOCK_STREAM } from "./sockaddr.ts";
import { type KnownSystem, knownSystem } from "./system.ts";
import { systemError } from "./system_error.ts";

/** Level and name of the options that count before `bind`. Windows has no {@linkcode Kernel}. */
interface BindOptions {
  readonly reuseAddress: readonly [number, number];
  readonly reusePort: readonly [number, number];
  readonly ipv6Only: readonly [number, number];
}

const bsd = { reuseAddress: [0xffff, 4], reusePort: [0xffff, 0x200], ipv6Only: [41, 27] } as const;

const bindOptions: Partial<Record<KnownSystem, BindOptions>> = {
  linux: { reuseAddress: [1, 2], reusePort: [1, 15], ipv6Only: [41, 26] },
  darwin: bsd,
  freebsd: bsd,
};

/** What the runtimes use; the kernel caps it (`net.core.somaxconn`). */
const defaultBacklog = 511;

/**
 * A descriptor that listens as `plan` says on `address`, an IP literal (`plan.hostname` may be a
 * name). It is the caller's to close.
 *
 * @throws {SystemError} What the kernel refused; nothing is left open then.
 */
export function openListening(kernel: Kernel, plan: ListenPlan, address: string): number {
  const system = knownSystem()!;
  const names = bindOptions[system]!;
  const sockaddr = encode(address, plan.port, system);
  const family = familyOf(sockaddr, system);
  const fd = succeed(kernel.socket(family, SOCK_STREAM, 0), "socket");
  try {
    const set = ([level, name]: readonly [number, number], on: boolean) =>
      succeed(kernel.setsockopt(fd, level, name, flag(on)), "setsockopt");
    set(names.reuseAddress, plan.reuseAddress);
    if (plan.reusePort) set(names.reusePort, true);
    // An IPv4 socket has no such option and needs none.
    if (plan.ipv6Only !== undefined && address.includes(":")) set(names.ipv6Only, plan.ipv6Only);
    succeed(kernel.bind(fd, sockaddr), "bind");
    succeed(kernel.listen(fd, plan.backlog ?? defaultBacklog), "listen");
    return fd;
  } catch (error) {
    kernel.close(fd);
    throw error;
  }
}

function succeed(result: number, syscall: string): number {
  if (result < 0) throw systemError(result, syscall);
  return result;
}

function flag(on: boolean): Uint8Array {
  return new Uint8Array(new Int32Array([on ? 1 : 0]).buffer);
}
