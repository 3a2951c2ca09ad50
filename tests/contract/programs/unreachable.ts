/**
 * Connects from 192.0.2.1, with all of the few local ports that the kernel may pick. Prints which local
 * addresses lose connections as unreachable, before that address is removed and afterwards.
 */

import { execFileSync } from "node:child_process";
import { connect, evict, listen } from "@holdfast/tcp";

const hostname = "192.0.2.1";
const timeout = 5_000;
const listener = await listen({ hostname, port: 7, timeout });
for (let i = 0; i < 4; i++) {
  await connect({ hostname, port: 7, timeout });
  await listener.accept();
}
function unreachable(): string {
  const ended = evict({ unreachable: true }).map(({ localAddr }) => localAddr.hostname);
  return [...new Set(ended)].join() || "none";
}
console.log(unreachable());
execFileSync("ip", ["addr", "del", "192.0.2.1/32", "dev", "lo"]);
console.log(unreachable());
listener.close();
