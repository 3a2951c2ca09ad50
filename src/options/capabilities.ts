/**
 * What this runtime on this system can do, as data.
 *
 * @module
 */

import type { ListenPlan } from "../kernel/listening.ts";
import { deadPeerObstacle } from "./dead_peer.ts";
import { type RowName, rows } from "./table.ts";
import { systemName } from "../kernel/system.ts";
import type { KeepAliveOptions, SocketOptions } from "./types.ts";
import { isNative, kernelObstacle, type Road } from "./support.ts";
import type { Obstacle } from "../kernel/obstacle.ts";
import { adapter } from "../runtime.ts";
import { tcpInfoObstacle } from "./tcp_info.ts";
import { checkSocketOptions } from "./validate.ts";

/**
 * What can be asked about: socket options, bind-time options, and calls that need the kernel.
 *
 * @example Ask about one option
 * ```ts
 * import { capabilities, type CapabilityName } from "@holdfast/tcp";
 *
 * const name: CapabilityName = "noDelay";
 * console.log(capabilities().options[name].set); // native
 * ```
 */
export type CapabilityName =
  | keyof SocketOptions
  | `keepAlive.${keyof KeepAliveOptions}`
  | "maxSegmentSize"
  | "reuseAddress"
  | "reusePort"
  | "ipv6Only"
  | "backlog"
  | "fd"
  | "tcpInfo"
  | "reset";

/**
 * How one option is set and read.
 *
 * @example Why an option cannot be set
 * ```ts
 * import { capabilities, type Capability } from "@holdfast/tcp";
 *
 * const { set, reason }: Capability = capabilities().options.maxSegmentSize;
 * console.log(set, reason); // none undefined
 * ```
 */
export interface Capability {
  /** The road by which it is set. `"none"`: using it is an `UnsupportedOptionError`. */
  readonly set: Road;
  /** The road by which it is read. */
  readonly get: Road;
  /** Why there is no road, and what would help. */
  readonly reason?: string;
}

/**
 * What this runtime on this system can do.
 *
 * @example What is out of reach here
 * ```ts
 * import { type Capabilities, capabilities } from "@holdfast/tcp";
 *
 * const { options }: Capabilities = capabilities();
 * const none = Object.entries(options).filter(([, { set }]) => set === "none");
 * console.log(none.some(([name]) => name === "maxSegmentSize")); // true
 * ```
 */
export interface Capabilities {
  /** The runtime. */
  readonly runtime: "deno" | "bun" | "node";
  /** Its version. */
  readonly version: string;
  /** The system, such as `"linux"`. */
  readonly system: string;
  /** By option. `reuseAddress` means `false`, since `true` works everywhere. */
  readonly options: Readonly<Record<CapabilityName, Capability>>;
}

/**
 * What this runtime on this system can do: for every option the road by which it is set and read.
 * It looks for the system's C library, so in Node.js it may print the warning that `node:ffi` is
 * experimental; under Deno it never prompts.
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
  const { runtime, version, natives } = adapter();
  const options: Partial<Record<CapabilityName, Capability>> = {};
  for (const name of Object.keys(rows) as RowName[]) options[name] = ofRow(name);
  const blind = deadPeerObstacle();
  options.deadPeerTimeout = blind === undefined ? { set: "ffi", get: "none" } : missing(blind);
  for (const name of Object.keys(binds) as (keyof typeof binds)[]) options[name] = ofBind(name);
  const info = tcpInfoObstacle();
  options.tcpInfo = info === undefined ? { set: "none", get: "ffi" } : missing(info);
  const reset = natives.reset ? undefined : kernelObstacle("linger");
  options.reset = reset === undefined
    ? { set: natives.reset ? "native" : "ffi", get: "none" }
    : missing(reset);
  return {
    runtime,
    version,
    system: systemName(),
    options: options as Record<CapabilityName, Capability>,
  };
}

/**
 * The options among `options` that can be set here, for programs that would rather do without than
 * fail. Values of `keepAlive` that cannot be set are dropped one by one.
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
  const { natives } = adapter();
  const valued = plan.settings.some(({ name }) => name.startsWith("keepAlive."));
  const kept: Record<string, unknown> = {};
  const values: Record<string, unknown> = {};
  for (const { name, value } of plan.settings) {
    if (name === "keepAlive" && valued) continue;
    const native = isNative(name, natives, plan.tuning !== undefined, valued);
    if (!native && kernelObstacle(name) !== undefined) continue;
    const [key, part] = name.split(".") as [string, string?];
    if (part === undefined) kept[key] = value;
    else kept[key] = Object.assign(values, { [part]: value });
  }
  if (valued && kept.keepAlive === undefined && ofRow("keepAlive").set !== "none") {
    kept.keepAlive = true;
  }
  if (deadPeerTimeout !== undefined && deadPeerObstacle() === undefined) {
    kept.deadPeerTimeout = deadPeerTimeout;
  }
  return kept;
}

function ofRow(name: RowName): Capability {
  const { natives } = adapter();
  const obstacle = kernelObstacle(name);
  const get = obstacle === undefined ? "ffi" : "none";
  if (rows[name].readOnly) return { set: "none", get, ...because(obstacle) };
  const valued = name.startsWith("keepAlive.");
  if (!isNative(name, natives, valued, valued)) {
    return obstacle === undefined ? { set: "ffi", get } : missing(obstacle);
  }
  return { set: "native", get, ...because(obstacle) };
}

/** Bind-time options, with a value that is not the default. */
const binds = {
  reuseAddress: { reuseAddress: false },
  reusePort: { reusePort: true },
  ipv6Only: { hostname: "::", ipv6Only: true },
  backlog: { backlog: 64 },
  fd: { fd: 3 },
} as const;

function ofBind(name: keyof typeof binds): Capability {
  const { cannotListen, listensNatively } = adapter();
  const plan: ListenPlan = {
    hostname: "0.0.0.0",
    port: 0,
    reuseAddress: true,
    reusePort: false,
    ipv6Only: undefined,
    backlog: undefined,
    fd: undefined,
    ...binds[name],
  };
  const obstacle = cannotListen(plan);
  if (obstacle !== undefined) return missing(obstacle);
  return { set: listensNatively(plan) ? "native" : "ffi", get: "none" };
}

function missing(obstacle: Obstacle): Capability {
  return { set: "none", get: "none", ...because(obstacle) };
}

function because(obstacle: Obstacle | undefined): { reason?: string } {
  if (obstacle === undefined) return {};
  const { reason, remedy } = obstacle;
  return { reason: remedy === "" ? reason : `${reason}; ${remedy}` };
}
