/** Tells as data what this runtime on this system can do. */

import { deadPeerObstacle } from "./dead_peer.ts";
import { type RowName, rows } from "./table.ts";
import { runtime, systemName } from "../kernel/system.ts";
import type { KeepAliveOptions, KernelOptions, SocketOptions } from "./types.ts";
import { kernelObstacle, type Road, supportOf, supportOfListen } from "./support.ts";
import type { KeepAlive, PlannedOption } from "./plan.ts";
import type { Obstacle } from "../kernel/obstacle.ts";
import { adapter } from "../runtime.ts";
import { type BeforeName, beforeNames, beforeObstacle } from "./dial.ts";
import { tcpInfoObstacle } from "./tcp_info.ts";
import { checkListen, checkSocketOptions } from "./validate.ts";

/**
 * Names in {@linkcode Capabilities}: socket options, bind-time options, and calls that need the kernel.
 */
export type CapabilityName =
  | keyof KernelOptions
  | `keepAlive.${keyof KeepAliveOptions}`
  | "backlog"
  | "fd"
  | "localAddress"
  | "localPort"
  | "interface"
  | "prepare"
  | "tcpInfo"
  | "reset";

/** How one option is set and read. */
export interface Capability {
  /** How it is set. With `"none"`, using it throws an `UnsupportedOptionError`. */
  readonly set: Road;
  /** How it is read. */
  readonly get: Road;
  /** Why it cannot be set or read, and what would help. */
  readonly reason?: string;
}

/** What this runtime on this system can do. */
export interface Capabilities {
  /** The runtime. */
  readonly runtime: "deno" | "bun" | "node";
  /** Its version. */
  readonly version: string;
  /** The system, such as `"linux"`. */
  readonly system: string;
  /** What can be done, by option. `reuseAddress` is about `false`, since `true` works everywhere. */
  readonly options: Readonly<Record<CapabilityName, Capability>>;
}

/**
 * Returns what this runtime on this system can do: for every option, how it is set and read. It looks
 * for the system's C library, so in Node.js it may print the warning that `node:ffi` is experimental.
 * Under Deno it never prompts.
 *
 * @example Use an option where it exists
 * ```ts
 * import { capabilities } from "@holdfast/tcp";
 *
 * const { runtime, system, options } = capabilities();
 * console.log(runtime, system, options.userTimeout.set); // such as: deno linux ffi
 * ```
 */
export function capabilities(): Capabilities {
  const { name: runtimeName, version } = runtime();
  const natives = adapter().natives();
  const options: Partial<Record<CapabilityName, Capability>> = {};
  for (const name of Object.keys(rows) as RowName[]) options[name] = ofRow(name);
  options.deadPeerTimeout = byKernel("ffi", "none", deadPeerObstacle());
  for (const name of Object.keys(binds) as (keyof typeof binds)[]) options[name] = ofBind(name);
  for (const name of beforeNames) options[name] = ofBefore(name);
  options.tcpInfo = byKernel("none", "ffi", tcpInfoObstacle());
  options.reset = natives.reset
    ? capability("native", "none")
    : byKernel("ffi", "none", kernelObstacle("linger"));
  return {
    runtime: runtimeName,
    version,
    system: systemName(),
    options: options as Record<CapabilityName, Capability>,
  };
}

/**
 * Returns those of `options` that can be set here, for programs that would rather go without an option
 * than fail. Of `keepAlive`, only the values that cannot be set are left out.
 *
 * @throws {TypeError | RangeError} An option is unknown or out of range.
 *
 * @example Best effort
 * ```ts
 * import { connect, listen, onlySupported } from "@holdfast/tcp";
 *
 * using listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
 * using socket = await connect({
 *   port: listener.addr.port,
 *   timeout: 1_000,
 *   ...onlySupported({ userTimeout: 30_000 }),
 * });
 * console.log(socket.remoteAddr.port === listener.addr.port); // true
 * ```
 */
export function onlySupported(options: SocketOptions): SocketOptions {
  const { deadPeerTimeout } = checkSocketOptions(options, "filter options");
  const plan = checkSocketOptions({ ...options, deadPeerTimeout: undefined }, "filter options");
  const kept: Record<string, unknown> = {};
  for (const entry of plan.entries) {
    const { name, value } = entry;
    if (name === "keepAlive") Object.assign(kept, onlySupportedKeepAlive(value));
    else if (canSet(entry)) kept[name] = value;
  }
  if (deadPeerTimeout !== undefined && deadPeerObstacle() === undefined) {
    kept.deadPeerTimeout = deadPeerTimeout;
  }
  return kept;
}

function canSet(entry: PlannedOption): boolean {
  return supportOf(entry, adapter().natives()).road !== "none";
}

function onlySupportedKeepAlive(value: KeepAlive): Pick<SocketOptions, "keepAlive"> {
  const { on, ...given } = value;
  const canSetKeepAlive = (value: KeepAlive) => canSet({ name: "keepAlive", value });
  const whole = canSetKeepAlive(value);
  const kept = Object.entries(given).filter(([key, part]) =>
    part !== undefined && (whole || canSetKeepAlive({ on, [key]: part }))
  );
  if (kept.length > 0) return { keepAlive: Object.fromEntries(kept) };
  return canSetKeepAlive({ on }) ? { keepAlive: on } : {};
}

function ofRow(name: RowName): Capability {
  const obstacle = kernelObstacle(name);
  const get = obstacle === undefined ? "ffi" : "none";
  if (rows[name].readOnly) return capability("none", get, obstacle);
  const supports = samples(name).map((entry) => supportOf(entry, adapter().natives()));
  const { road } = supports.find(({ road }) => road !== "none") ?? supports[0]!;
  return capability(road, get, obstacle);
}

/** Examples of options that set `name`. A keepalive value can be set with the others, or alone. */
function samples(name: RowName): PlannedOption[] {
  const [, part] = name.split(".");
  if (part !== undefined) {
    const all = { idle: 1_000, interval: 1_000, count: 1 };
    const alone = { [part]: all[part as keyof typeof all] };
    return [all, alone].map((values) => ({ name: "keepAlive", value: { on: true, ...values } }));
  }
  return [
    name === "keepAlive" ? { name, value: { on: true } } : { name, value: true } as PlannedOption,
  ];
}

/** For each bind-time option a value that is not the default. */
const binds = {
  reuseAddress: { port: 0, reuseAddress: false },
  reusePort: { port: 0, reusePort: true },
  ipv6Only: { port: 0, hostname: "::", ipv6Only: true },
  backlog: { port: 0, backlog: 64 },
  fd: { fd: 3 },
} as const;

function ofBind(name: keyof typeof binds): Capability {
  const { listen } = checkListen({ ...binds[name], timeout: null });
  const { road, obstacle } = supportOfListen(listen);
  const unread = name in rows ? kernelObstacle(name as RowName) : undefined;
  const get = name in rows && unread === undefined ? "ffi" : "none";
  return capability(road, get, obstacle ?? unread);
}

/** System calls are preferred, also in a runtime that can bind a source address itself. */
function ofBefore(name: BeforeName): Capability {
  const obstacle = beforeObstacle(name);
  const native = obstacle === undefined && adapter().loadKernel().kernel === undefined;
  return byKernel(native ? "native" : "ffi", "none", obstacle);
}

function byKernel(set: Road, get: Road, obstacle: Obstacle | undefined): Capability {
  return obstacle === undefined ? capability(set, get) : capability("none", "none", obstacle);
}

function capability(set: Road, get: Road, obstacle?: Obstacle): Capability {
  if (set !== "none" && get !== "none") return { set, get };
  const only = { reason: `it can only be ${set === "none" ? "read" : "set"}` };
  const { reason, remedy }: Obstacle = obstacle ?? only;
  return { set, get, reason: remedy === undefined ? reason : `${reason}; ${remedy}` };
}
