/**
 * Where and how numbers were measured.
 *
 * @module
 */

import { cpus, loadavg, release, type } from "node:os";

/** This machine, and how busy it is. */
export function machine(): string {
  const processors = cpus();
  const load = loadavg()[0]!.toFixed(1);
  return `${processors.length} x ${
    processors[0]?.model.trim()
  }, ${type()} ${release()}, load ${load}`;
}

/** Which run numbers are from. */
export function lastRun({ machine, command }: { machine: string; command: string }): string {
  const partial = /--(?:only|runtime)\b/.test(command)
    ? " Tables that this command does not name are from earlier runs."
    : "";
  return `Last run: \`${command}\` on ${machine}.${partial}`;
}
