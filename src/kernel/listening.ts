/** Opens a listening socket by system calls, for what a runtime's own `listen` cannot do. */

import type { Kernel } from "./kernel.ts";
import { constants } from "./constants.ts";
import { identityOf } from "./identity.ts";
import { sockaddrOf } from "./scope.ts";
import { succeed } from "./system_error.ts";
import { openSocket, writeInt } from "./tcp_socket.ts";

/** The options of a listener that count before bind: validated, with defaults filled in. */
export interface ListenPlan {
  readonly hostname: string;
  readonly port: number;
  readonly reuseAddress: boolean;
  readonly reusePort: boolean;
  /** `undefined` is the system's default: most accept both families. */
  readonly ipv6Only: boolean | undefined;
  /** `undefined` is the runtime's default. */
  readonly backlog: number | undefined;
  /** A descriptor that listens already. Hostname and port do not count then. */
  readonly fd: number | undefined;
}

/**
 * Opens a listening descriptor and passes it to `take`, which owns it from then on unless it fails.
 *
 * @throws {SystemError} What the kernel refused, or what `take` throws; nothing is left open then.
 */
export async function withListening<T>(
  kernel: Kernel,
  plan: ListenPlan,
  address: string,
  take: (fd: number) => T | Promise<T>,
): Promise<T> {
  const fd = openListening(kernel, plan, address);
  const identity = identityOf(kernel, fd);
  try {
    return await take(fd);
  } catch (error) {
    // The runtime may have closed the descriptor already, and its number may belong to another socket.
    if (identityOf(kernel, fd) === identity) kernel.close(fd);
    throw error;
  }
}

/** The backlog that the runtimes use. The kernel caps it (`net.core.somaxconn`). */
export const defaultBacklog = 511;

/**
 * Returns a descriptor that listens as `plan` says, but on `address`, an IP literal, since
 * `plan.hostname` may be a name. The caller has to close it.
 *
 * @throws {SystemError} What the kernel refused; nothing is left open then.
 */
export function openListening(kernel: Kernel, plan: ListenPlan, address: string): number {
  const { SOL_SOCKET, SO_REUSEADDR, SO_REUSEPORT, IPPROTO_IPV6, IPV6_V6ONLY } = constants;
  const sockaddr = sockaddrOf(kernel, address, plan.port);
  return openSocket(kernel, sockaddr, (fd) => {
    const set = (level: number | undefined, name: number | undefined, on: boolean) =>
      succeed(writeInt(kernel, fd, level!, name!, Number(on)), "setsockopt");
    set(SOL_SOCKET, SO_REUSEADDR, plan.reuseAddress);
    if (plan.reusePort) set(SOL_SOCKET, SO_REUSEPORT, true);
    // An IPv4 socket does not have this option.
    if (plan.ipv6Only !== undefined && address.includes(":")) {
      set(IPPROTO_IPV6, IPV6_V6ONLY, plan.ipv6Only);
    }
    succeed(kernel.bind(fd, sockaddr), "bind");
    succeed(kernel.listen(fd, plan.backlog ?? defaultBacklog), "listen");
  });
}
