/** Network namespaces for programs that a test starts. */

import { spawnSync } from "node:child_process";
import process from "node:process";
import { noTables } from "./support.ts";

/** Whether a command succeeds. */
export function works([command, ...args]: string[]): boolean {
  return spawnSync(command!, args, { stdio: "ignore" }).status === 0;
}

/** A command that starts a program in a network namespace of its own. */
export const unshare: string[] = process.getuid?.() === 0
  ? ["unshare", "--net"]
  : ["unshare", "--net", "--user", "--map-root-user"];

/** Why there is no such namespace here, or `undefined` where there is. */
export const noNamespace: string | undefined = noTables ??
  (works([...unshare, "ip", "link", "set", "lo", "up"])
    ? undefined
    : "makes a network namespace, which takes root, unshare and ip");
