/**
 * Socket activation: waits for a line, listens on descriptor 3 with the options given as JSON, and
 * prints what the kernel has for the listener and for the first connections, as many as the second
 * argument says, in JSON. Each gets one byte.
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { constants, getsockopt, listen } from "@holdfast/tcp";

console.log("ready");
const lines = createInterface({ input: process.stdin });
lines.once("line", async () => {
  const listener = await listen({ fd: 3, timeout: 10_000, ...JSON.parse(process.argv[2]!) });
  const sockets = [];
  // `tcpi_sacked` of a listener.
  const info = getsockopt(listener, constants.IPPROTO_TCP!, constants.TCP_INFO!, 104);
  const backlog = new Uint32Array(info.slice().buffer)[7];
  for (let i = 0; i < Number(process.argv[3]); i++) {
    const socket = await listener.accept();
    sockets.push(socket.getOptions());
    await socket.write(new Uint8Array([i]));
    socket.close();
  }
  console.log(JSON.stringify({ addr: listener.addr, backlog, sockets }));
  listener.close();
  lines.close();
});
