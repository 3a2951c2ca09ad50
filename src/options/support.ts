/**
 * By which road an option is set and read here: the runtime's own setter, the kernel, or none.
 *
 * @module
 */

import type { Kernel } from "../kernel/kernel.ts";
import type { UnsupportedOptionError } from "../errors.ts";
import { type Obstacle, unsupportedIn } from "../kernel/obstacle.ts";
import { type Place, type RowName, rows } from "./table.ts";
import { knownSystem, systemName } from "../kernel/system.ts";
import { adapter } from "../runtime.ts";

/**
 * How an option is reached.
 *
 * @example The road of an option
 * ```ts
 * import { capabilities, type Road } from "@holdfast/tcp";
 *
 * const road: Road = capabilities().options.keepAlive.set;
 * console.log(road); // native
 * ```
 */
export type Road = "native" | "ffi" | "none";

/** The runtime's setters of one socket, or of its sockets in general. */
export interface Setters {
  readonly setNoDelay?: unknown;
  readonly setKeepAlive?: unknown;
  readonly tuneKeepAlive?: unknown;
}

/** Whether the runtime's own setter does it. `tuned`: keepalive comes with all of its values. */
export function isNative(
  name: RowName,
  setters: Setters,
  tuned: boolean,
  valued: boolean,
): boolean {
  switch (name) {
    case "noDelay":
      return Boolean(setters.setNoDelay);
    case "keepAlive":
      return Boolean(valued ? tuned && setters.tuneKeepAlive : setters.setKeepAlive);
    case "keepAlive.idle":
    case "keepAlive.interval":
    case "keepAlive.count":
      return Boolean(tuned && setters.tuneKeepAlive);
    default:
      return false;
  }
}

/** Where the running system keeps an option; `undefined` where it has none. */
export function placesOf(name: RowName): readonly Place[] | undefined {
  const system = knownSystem();
  return system === undefined ? undefined : rows[name].places[system];
}

/** What stands between us and the kernel's option, or `undefined`. */
export function kernelObstacle(name: RowName): Obstacle | undefined {
  if (placesOf(name) === undefined) {
    return { reason: `${systemName()} has no such option`, remedy: "" };
  }
  const kernel = adapter().kernel();
  return "reason" in kernel ? kernel : undefined;
}

/** The system calls. @throws {UnsupportedOptionError} There are none; `option` is what they were for. */
export function kernelFor(option: string): Kernel {
  const kernel = adapter().kernel();
  if ("reason" in kernel) throw unsupported(option, kernel);
  return kernel;
}

/** The error for an option that is out of reach in this runtime. */
export function unsupported(option: string, obstacle: Obstacle): UnsupportedOptionError {
  const { runtime, version } = adapter();
  return unsupportedIn(`${runtime} ${version}`, option, obstacle);
}
