/** Under a preloaded guard: opens a connection of this library, starts a worker, and prints what that has changed. */

import process from "node:process";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { connect, listen } from "@holdfast/tcp";

if (isMainThread) {
  const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: null });
  const socket = await connect({ port: listener.addr.port, timeout: 10_000 });
  const worker = new Worker(new URL(import.meta.url));
  await new Promise((resolve) => worker.once("message", resolve));
  // A guard looks at open sockets as soon as it starts.
  await new Promise((resolve) => setTimeout(resolve, 500));
  console.log(String(socket.getOptions().userTimeout));
  process.exit(0);
} else {
  parentPort!.postMessage("running");
}
