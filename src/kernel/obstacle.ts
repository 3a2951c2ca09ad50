/**
 * What stands between a caller and an option, and the one error that says so.
 *
 * @module
 */

import { UnsupportedOptionError } from "../errors.ts";
import { runtime, systemName } from "./system.ts";

/** Why something is out of reach, and what would help. */
export interface Obstacle {
  readonly reason: string;
  /** Empty where nothing helps. */
  readonly remedy: string;
}

/** The error for an option that is out of reach in this runtime on this system. */
export function unsupported(option: string, { reason, remedy }: Obstacle): UnsupportedOptionError {
  const { name, version } = runtime();
  return new UnsupportedOptionError({
    option,
    runtime: `${name} ${version}`,
    system: systemName(),
    reason,
    remedy: remedy === "" ? undefined : remedy,
  });
}
