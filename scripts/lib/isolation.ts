/**
 * Gives every test file a network of its own, where the system allows it, so that files that run at the
 * same time do not see each other's ports, TIME_WAIT and tables of the kernel.
 *
 * @module
 */

import { run } from "./process.ts";

// Loopback, and a link with one link-local address, which can be used at once.
const links = [
  "link add test0 type veth peer name test1",
  "link set test0 addrgenmode none",
  "link set test1 addrgenmode none up",
  "link set test0 up",
  "addr add fe80::1/64 dev test0 nodad",
].join("\n");
const setUp = `ip link set lo up && {
  echo '${links}' | ip -force -batch - 2>/dev/null
  exec "$@"
}`;
const command = ["unshare", "--net", "sh", "-c", setUp, "sh"];

/** The command that starts a program in a network of its own; empty where that is impossible. */
export async function ownNetwork(): Promise<string[]> {
  const [program = "", ...args] = [...command, "true"];
  const works = await run(program, args).then(({ code }) => code === 0, () => false);
  return works ? command : [];
}
