/**
 * A guard notices that a peer is gone while no descriptor is free, and later some are. Prints what it has
 * ended by then, in both cases.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import net from "node:net";
import process from "node:process";
import { guard } from "@holdfast/tcp";

// Deno prepares for signals when it first has to, and panics if no descriptor is free then.
process.on("SIGUSR2", () => {});
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const server = net.createServer((peer) => peer.on("error", () => {})).listen(7, "192.0.2.2");
await once(server, "listening");
const client = net.connect({ port: 7, host: "192.0.2.2", localAddress: "192.0.2.1" });
client.on("error", () => {});
await once(client, "connect");
const guarded = guard({ match: { remotePort: 7 }, deadPeerTimeout: 1_000, every: 20 });
// It is started before, as that takes descriptors, and goes on, as its end would free some. If they were used up
// after the peer has gone, the guard of a busy machine might have ended the connection by then.
const rule = "ip rule add pref 5 from 192.0.2.2 to 192.0.2.1 blackhole";
const shell = spawn("sh", ["-c", `read go && ${rule} && echo gone && read end`]);
await once(shell, "spawn");
const held: number[] = [];
try {
  for (;;) held.push(openSync("/dev/null", "r"));
} catch {
  // No descriptor is free.
}
shell.stdin.write("go\n");
// From now on nothing comes from the peer.
await once(shell.stdout, "data");
client.write("x");
await sleep(3_000);
console.log(guarded.stats.seen, guarded.stats.ended);
for (const fd of held) closeSync(fd);
await sleep(3_000);
console.log(guarded.stats.seen, guarded.stats.ended);
process.exit(0);
