/**
 * The filter of a guard always throws for one socket. Another one, opened later, gets its options.
 */

import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import process from "node:process";
import { guard } from "@holdfast/tcp";

process.on("uncaughtException", () => {});
const ports: number[] = [];
for (let i = 0; i < 2; i++) {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  ports.push((server.address() as AddressInfo).port);
}
const guarded = guard({
  match({ remoteAddr }) {
    if (remoteAddr?.port === ports[0]) throw new Error("no");
    return remoteAddr?.port === ports[1];
  },
  every: 20,
  keepAlive: true,
});
const open = (port: number) => void fetch(`http://127.0.0.1:${port}/`).catch(() => {});
open(ports[0]!);
setTimeout(() => open(ports[1]!), 200);
setInterval(() => {
  if (guarded.stats.applied === 0) return;
  console.log("applied");
  process.exit(0);
}, 20);
setTimeout(() => {
  console.log(guarded.stats);
  process.exit(1);
}, 5_000);
