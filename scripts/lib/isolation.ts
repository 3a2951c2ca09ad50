/**
 * A network for every test file, where the system allows it: ports, TIME_WAIT and the kernel's tables
 * of one file are then no other's, though they run at the same time.
 *
 * @module
 */

import { run } from "./process.ts";

const command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];

/** The command that starts a program with a loopback interface of its own; empty where none can be had. */
export async function ownNetwork(): Promise<string[]> {
  const [program = "", ...args] = [...command, "true"];
  const works = await run(program, args).then(({ code }) => code === 0, () => false);
  return works ? command : [];
}
