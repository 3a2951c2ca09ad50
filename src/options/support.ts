/**
 * Decides how an option is set and read here: by the runtime's own setter, by the kernel, or not at all.
 */

import type { NativeSetters } from "../adapter.ts";
import type { ListenPlan } from "../kernel/listening.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { constants } from "../kernel/constants.ts";
import { noSuchOption, type Obstacle, unsupported } from "../kernel/obstacle.ts";
import { knownSystem } from "../kernel/system.ts";
import { adapter } from "../runtime.ts";
import type { KeepAlive, PlannedOption } from "./plan.ts";
import { type Place, type RowName, rows } from "./table.ts";

/**
 * How an option is set or read: by the runtime (`"native"`), by a system call (`"ffi"`), or not at all.
 */
export type Road = "native" | "ffi" | "none";

/** The name that a setter of the runtime's has in a handle. */
export type Setter = Exclude<keyof NativeSetters, "reset" | "tuneKeepAliveFrom">;

/** The setters of one socket, or of the runtime's sockets in general. */
export type Setters = { readonly [name in Setter]?: unknown };

/** How something is set here. `"none"` names the `option` of all its options that cannot be set. */
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
  // This setter changes interval and count as well, so the kernel is preferred where it can be reached.
  const last = setter === "setKeepAliveIdle";
  if (native && !last) return { road: "native", setter };
  const option = rowWithObstacle(entry);
  if (option === undefined) return byKernel;
  if (native) return { road: "native", setter };
  const obstacle = withNativeRemedy(kernelObstacle(option)!, entry, setters);
  return { road: "none", option, obstacle };
}

/** The runtime's setter that sets all of `entry`, if there is one. */
function setterFor({ name, value }: PlannedOption): Setter | undefined {
  if (name !== "keepAlive") return name === "noDelay" ? "setNoDelay" : undefined;
  const { idle, interval, count } = value;
  if (interval === undefined && count === undefined) {
    return idle === undefined ? "setKeepAlive" : "setKeepAliveIdle";
  }
  const whole = idle !== undefined && interval !== undefined && count !== undefined;
  return whole ? "tuneKeepAlive" : undefined;
}

/** The first row of the table that `entry` sets and the kernel cannot. An error names it. */
function rowWithObstacle({ name, value }: PlannedOption): RowName | undefined {
  if (name === "keepAlive") {
    const { idle, interval, count } = value;
    // Not in a loop over names that are put together, as each connect comes here. An idle time comes last, since
    // Node.js itself sets one.
    if (interval !== undefined && kernelObstacle("keepAlive.interval")) return "keepAlive.interval";
    if (count !== undefined && kernelObstacle("keepAlive.count")) return "keepAlive.count";
    if (idle !== undefined && kernelObstacle("keepAlive.idle")) return "keepAlive.idle";
  }
  return kernelObstacle(name) && name;
}

/** The rows of keepalive and their values. The switch comes last, since it starts the kernel's timer. */
export function keepAliveRows(
  { on, idle, interval, count }: KeepAlive,
): [RowName, number | boolean][] {
  const rows: [RowName, number | boolean][] = [];
  if (interval !== undefined) rows.push(["keepAlive.interval", interval]);
  if (count !== undefined) rows.push(["keepAlive.count", count]);
  // Comes after those two: on a connection that has been silent for longer, the kernel probes at once and
  // then waits for the interval that it has at that moment.
  if (idle !== undefined) rows.push(["keepAlive.idle", idle]);
  rows.push(["keepAlive", on]);
  return rows;
}

/** Adds to an obstacle that the runtime's own setter would help, which needs all values of keepalive. */
function withNativeRemedy(obstacle: Obstacle, entry: PlannedOption, setters: Setters): Obstacle {
  if (entry.name !== "keepAlive") return obstacle;
  const together = "give idle, interval and count together";
  const { tuneKeepAliveFrom } = adapter().natives();
  const ways = obstacle.remedy === undefined ? [] : [obstacle.remedy];
  if (setters.tuneKeepAlive) ways.push(together);
  else if (tuneKeepAliveFrom !== undefined) {
    const version = `use ${tuneKeepAliveFrom}`;
    ways.push(setterFor(entry) === "tuneKeepAlive" ? version : `${version} and ${together}`);
  }
  return { ...obstacle, remedy: ways.length > 0 ? ways.join(", or ") : undefined };
}

/** How `listen` carries out `plan`. */
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

/** Where the running system keeps an option, or `undefined` where it does not have it. */
export function placesOf(name: RowName): readonly Place[] | undefined {
  const system = knownSystem();
  return system === undefined ? undefined : rows[name].places[system];
}

/** Why the kernel's option cannot be used here, or `undefined` where it can. */
export function kernelObstacle(name: RowName): Obstacle | undefined {
  return placesOf(name) === undefined ? noSuchOption() : adapter().loadKernel().obstacle;
}

/** The system calls. @throws {UnsupportedOptionError} There are none. The error names `option`. */
export function kernelFor(option: string): Kernel {
  const { kernel, obstacle } = adapter().loadKernel();
  if (kernel === undefined) throw unsupported(option, obstacle);
  return kernel;
}

/** Closes with RST, or with FIN where RST cannot be sent. */
export function resetOrClose(one: { reset(kernel: () => Kernel): void; close(): void }): void {
  try {
    one.reset(() => kernelFor("reset"));
  } catch {
    one.close();
  }
}
