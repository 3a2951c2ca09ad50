/**
 * Socket activation: takes listening sockets that a service manager has opened for this process.
 */

import { adapter } from "./runtime.ts";
import { host } from "./kernel/system.ts";

/** A descriptor that was passed to this process. */
export interface ListenFd {
  /** The descriptor, for `listen({ fd })`. */
  readonly fd: number;
  /** Its name, systemd's `FileDescriptorName=`, or `"unknown"` when it has none. */
  readonly name: string;
}

/** The first descriptor that is passed, after standard error. `SD_LISTEN_FDS_START`. */
const first = 3;

const variables = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"];

/**
 * Returns the listening sockets that systemd, or another service manager of its kind, has passed to this
 * process; none unless `LISTEN_PID` is this process. It removes the environment variables, so that neither
 * child processes nor a second call take the same descriptors. Where system calls can be made, child
 * processes do not inherit the descriptors either. `sd_listen_fds(3)`.
 *
 * @returns Descriptors and their names, in the order of the service manager's configuration.
 * @throws {RangeError} `LISTEN_FDS` is not a number of descriptors.
 *
 * @example A server that is started when the first client comes
 * ```ts
 * import { listen, listenFds } from "@holdfast/tcp";
 *
 * const [passed] = listenFds();
 * using listener = passed === undefined
 *   ? await listen({ hostname: "127.0.0.1", port: 0, timeout: 30_000 })
 *   : await listen({ fd: passed.fd, timeout: 30_000 });
 * console.log(listener.addr.port > 0); // true
 * ```
 */
export function listenFds(): ListenFd[] {
  const { env, pid } = host();
  const { LISTEN_PID, LISTEN_FDS = "", LISTEN_FDNAMES } = env;
  if (LISTEN_PID !== String(pid)) return [];
  if (!/^\d{1,6}$/.test(LISTEN_FDS)) {
    throw new RangeError(
      "Cannot list passed descriptors as 'LISTEN_FDS' must be a number of descriptors: " +
        `current value is ${JSON.stringify(LISTEN_FDS)}`,
    );
  }
  for (const name of variables) delete env[name];
  const names = LISTEN_FDNAMES?.split(":") ?? [];
  const passed = Array.from({ length: Number(LISTEN_FDS) }, (_, index) => ({
    fd: first + index,
    name: names[index] || "unknown",
  }));
  const { kernel } = adapter().loadKernel();
  if (kernel !== undefined) { for (const { fd } of passed) kernel.closeOnExec(fd); }
  return passed;
}
