/**
 * Socket activation as a service manager does it: serves one client on each descriptor that was
 * passed, and prints what was passed and what a child of this process would see, as JSON.
 */

import { execFileSync } from "node:child_process";
import process from "node:process";
import { listen, listenFds } from "@holdfast/tcp";

const passed = listenFds();
const again = listenFds();
const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES } = process.env;
const inherited = execFileSync("ls", ["-l", "/proc/self/fd"], { encoding: "utf8" });
const addresses = [];
for (const { fd } of passed) {
  const listener = await listen({ fd, timeout: 10_000 });
  addresses.push(listener.addr);
  const socket = await listener.accept();
  await socket.write(new TextEncoder().encode("hello"));
  socket.close();
  listener.close();
}
const left = { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES };
const kept = / 3 -> socket:/.test(inherited);
console.log(JSON.stringify({ passed, again, left, addresses, kept }));
