/**
 * Listens on descriptors of its own three times. Prints the code of each error, and how many more sockets
 * are open than before.
 */

import { readdirSync, readlinkSync } from "node:fs";
import process from "node:process";
import { listen, type SocketError } from "@holdfast/tcp";

function openSockets(): number {
  return readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith("socket:");
    } catch {
      // The descriptor of the directory is closed by now.
      return false;
    }
  }).length;
}

const options = { hostname: "127.0.0.1", port: 0, timeout: 1_000, reuseAddress: false };
const before = openSockets();
const codes = [];
for (let i = 0; i < 3; i++) {
  codes.push(
    await listen(options).then((listener) => {
      listener.close();
      return "listens";
    }, (error: SocketError) => error.code),
  );
}
// Deno closes a listener's socket later, on a busy machine much later.
for (let i = 0; i < 100 && openSockets() > before; i++) {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
console.log(...codes, openSockets() - before);
process.exit();
