/**
 * Socket activation: waits for a line, listens on descriptor 3 with the options given as JSON, and
 * prints what the kernel has for the first connections, as many as the second argument says, in
 * JSON. Each gets one byte.
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { listen } from "@holdfast/tcp";

console.log("ready");
const lines = createInterface({ input: process.stdin });
lines.once("line", async () => {
  const listener = await listen({ fd: 3, timeout: 10_000, ...JSON.parse(process.argv[2]!) });
  const sockets = [];
  for (let i = 0; i < Number(process.argv[3]); i++) {
    const socket = await listener.accept();
    sockets.push(socket.getOptions());
    await socket.write(new Uint8Array([i]));
    socket.close();
  }
  console.log(JSON.stringify({ addr: listener.addr, sockets }));
  listener.close();
  lines.close();
});
