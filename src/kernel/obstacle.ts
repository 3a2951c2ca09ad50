/**
 * What stands between a caller and an option, and the one error that says so.
 *
 * @module
 */

import { UnsupportedOptionError } from "../errors.ts";
import { systemName } from "./system.ts";

/** Why something is out of reach, and what would help. */
export interface Obstacle {
  readonly reason: string;
  /** Empty where nothing helps. */
  readonly remedy: string;
}

/** The error for an option that is out of reach in `runtime`, such as "deno 2.9.6". */
export function unsupportedIn(
  runtime: string,
  option: string,
  { reason, remedy }: Obstacle,
): UnsupportedOptionError {
  return new UnsupportedOptionError({
    option,
    runtime,
    system: systemName(),
    reason,
    remedy: remedy === "" ? undefined : remedy,
  });
}
