/** The reason why an option cannot be had, and the error made of it. */

import { UnsupportedOptionError } from "../errors.ts";
import { runtime, systemName } from "./system.ts";

/** Why something cannot be had here, and what would help. */
export interface Obstacle {
  readonly reason: string;
  readonly remedy?: string | undefined;
}

/** Why an option cannot be had that the running system does not have. */
export function noSuchOption(): Obstacle {
  return { reason: `${systemName()} has no such option` };
}

/** The error for an option that cannot be had in this runtime on this system. */
export function unsupported(option: string, { reason, remedy }: Obstacle): UnsupportedOptionError {
  const { name, version } = runtime();
  return new UnsupportedOptionError({
    option,
    runtime: `${name} ${version}`,
    system: systemName(),
    reason,
    remedy,
  });
}
