/**
 * The filter of a guard throws for one socket: that is an uncaught exception, and the guard goes on.
 */

import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import process from "node:process";
import { guard } from "@holdfast/tcp";

const server = net.createServer().listen(0, "127.0.0.1");
await once(server, "listening");
const { port } = server.address() as AddressInfo;
let thrown = 0;
process.on("uncaughtException", () => thrown++);
const guarded = guard({
  match({ remoteAddr }) {
    if (remoteAddr?.port !== port) return false;
    if (thrown === 0) throw new Error("no");
    return true;
  },
  every: 20,
  keepAlive: true,
});
const client = net.connect(port, "127.0.0.1");
await once(client, "connect");
setInterval(() => {
  if (thrown === 0 || guarded.stats.applied === 0) return;
  console.log(thrown === 1 ? "thrown" : thrown, "applied");
  process.exit(0);
}, 20);
setTimeout(() => {
  console.log(thrown, guarded.stats);
  process.exit(1);
}, 5_000);
