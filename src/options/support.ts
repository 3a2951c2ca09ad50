/**
 * How an option is set and read here: by the runtime's own setter, by the kernel, or not at all.
 *
 * @module
 */

import type { NativeSetters } from "../adapter.ts";
import type { ListenPlan } from "../kernel/listening.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { constants } from "../kernel/constants.ts";
import { type Obstacle, unsupported } from "../kernel/obstacle.ts";
import { knownSystem, systemName } from "../kernel/system.ts";
import { adapter } from "../runtime.ts";
import type { KeepAlive, PlannedOption } from "./plan.ts";
import { type Place, type RowName, rows } from "./table.ts";

/**
 * How an option is reached.
 *
 * @example How keepalive is switched
 * ```ts
 * import { capabilities, type Road } from "@holdfast/tcp";
 *
 * const road: Road = capabilities().options.keepAlive.set;
 * console.log(road); // native
 * ```
 */
export type Road = "native" | "ffi" | "none";

/** A setter of the runtime's, by the name that it has in a handle. */
export type Setter = Exclude<keyof NativeSetters, "reset" | "tuneKeepAliveFrom">;

/** The setters of one socket, or of the runtime's sockets in general. */
export type Setters = { readonly [name in Setter]?: unknown };

/** How an option is set here; `setter` where the runtime does it, `option` is the one in question. */
export type Support =
  | { readonly road: "native"; readonly setter?: Setter; readonly obstacle?: undefined }
  | { readonly road: "ffi"; readonly setter?: undefined; readonly obstacle?: undefined }
  | {
    readonly road: "none";
    readonly option: string;
    readonly setter?: undefined;
    readonly obstacle: Obstacle;
  };

const byKernel: Support = { road: "ffi" };

/** How `entry` is set on a socket that has `setters`. */
export function supportOf(entry: PlannedOption, setters: Setters): Support {
  const setter = setterFor(entry);
  const native = setter !== undefined && Boolean(setters[setter]);
  // It brings interval and count of its own, so the kernel is better where it can be reached.
  const last = setter === "setKeepAliveIdle";
  if (native && !last) return { road: "native", setter };
  for (const option of rowsOf(entry)) {
    const obstacle = kernelObstacle(option);
    if (obstacle === undefined) continue;
    if (native) return { road: "native", setter };
    return { road: "none", option, obstacle: helped(obstacle, entry, setters) };
  }
  return byKernel;
}

/** The runtime's setter that sets all of `entry`, where it exists. */
function setterFor({ name, value }: PlannedOption): Setter | undefined {
  if (name !== "keepAlive") return name === "noDelay" ? "setNoDelay" : undefined;
  const { idle, interval, count } = value;
  if (interval === undefined && count === undefined) {
    return idle === undefined ? "setKeepAlive" : "setKeepAliveIdle";
  }
  const whole = idle !== undefined && interval !== undefined && count !== undefined;
  return whole ? "tuneKeepAlive" : undefined;
}

/** The rows of the table that `entry` sets. */
function rowsOf({ name, value }: PlannedOption): RowName[] {
  return name === "keepAlive" ? keepAliveRows(value).map(([row]) => row) : [name];
}

/** Keepalive's rows and their values, its switch last: the kernel's timer starts with it. */
export function keepAliveRows(
  { on, idle, interval, count }: KeepAlive,
): [RowName, number | boolean][] {
  const rows: [RowName, number | boolean | undefined][] = [
    ["keepAlive.idle", idle],
    ["keepAlive.interval", interval],
    ["keepAlive.count", count],
    ["keepAlive", on],
  ];
  return rows.filter((row): row is [RowName, number | boolean] => row[1] !== undefined);
}

/** An obstacle with what else would help: the runtime's own setter, which needs all values of keepalive. */
function helped(obstacle: Obstacle, entry: PlannedOption, setters: Setters): Obstacle {
  if (entry.name !== "keepAlive") return obstacle;
  const together = "give idle, interval and count together";
  const { tuneKeepAliveFrom } = adapter().natives();
  const ways = [obstacle.remedy];
  if (setters.tuneKeepAlive) ways.push(together);
  else if (tuneKeepAliveFrom !== undefined) {
    const version = `use ${tuneKeepAliveFrom}`;
    ways.push(setterFor(entry) === "tuneKeepAlive" ? version : `${version} and ${together}`);
  }
  return { ...obstacle, remedy: ways.filter((way) => way !== "").join(", or ") };
}

/** How `listen` does what `plan` says. */
export function supportOfListen(plan: ListenPlan): Support {
  const { beyondListen, loadKernel } = adapter();
  if (plan.reusePort && knownSystem() !== undefined && constants.SO_REUSEPORT === undefined) {
    return { road: "none", option: "reusePort", obstacle: noSuchOption() };
  }
  const option = beyondListen(plan);
  if (option === undefined) return { road: "native" };
  const { obstacle } = loadKernel();
  if (obstacle === undefined) return byKernel;
  const reason = `the runtime's own listen cannot set it, and ${obstacle.reason}`;
  return { road: "none", option, obstacle: { ...obstacle, reason } };
}

/** Where the running system keeps an option; `undefined` where it has none. */
export function placesOf(name: RowName): readonly Place[] | undefined {
  const system = knownSystem();
  return system === undefined ? undefined : rows[name].places[system];
}

/** What stands between us and the kernel's option, or `undefined`. */
export function kernelObstacle(name: RowName): Obstacle | undefined {
  return placesOf(name) === undefined ? noSuchOption() : adapter().loadKernel().obstacle;
}

function noSuchOption(): Obstacle {
  return { reason: `${systemName()} has no such option`, remedy: "" };
}

/** The system calls. @throws {UnsupportedOptionError} There are none; `option` is what they were for. */
export function kernelFor(option: string): Kernel {
  const { kernel, obstacle } = adapter().loadKernel();
  if (kernel === undefined) throw unsupported(option, obstacle);
  return kernel;
}
