/** Describes the machine on which numbers were measured. */

import { cpus, loadavg, release, type } from "node:os";

/** Describes this machine, and how busy it is. */
export function machine(): string {
  const [first, ...more] = cpus();
  const load = loadavg()[0]!.toFixed(1);
  return `${1 + more.length} x ${first?.model.trim()}, ${type()} ${release()}, load ${load}`;
}
