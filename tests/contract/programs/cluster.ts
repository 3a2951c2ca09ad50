/**
 * A primary and a worker of `node:cluster`. The worker prints what `setOptions` returns for its server, and
 * then, for a connection that the primary dials, its idle time before and after it was set.
 */

import cluster from "node:cluster";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import process from "node:process";
import { getOptions, setOptions, sockets } from "@holdfast/tcp";

const idle = (socket: Parameters<typeof getOptions>[0]) => {
  const { keepAlive } = getOptions(socket);
  return typeof keepAlive === "object" ? keepAlive.idle : keepAlive;
};

if (cluster.isPrimary) {
  const worker = cluster.fork();
  worker.on("message", (port: number) => {
    // The servers of the workers have it too when the workers accept by themselves.
    const alone = cluster.schedulingPolicy === cluster.SCHED_RR;
    const listeners = alone ? sockets({ kind: "listener", localPort: port }) : [];
    for (const listener of listeners) setOptions(listener, { keepAlive: { idle: 50_000 } });
    connect(port, "127.0.0.1").on("error", () => {}).unref();
  });
  worker.on("exit", (code: number) => process.exit(code));
} else {
  const server = createServer().listen(0, "127.0.0.1");
  server.on("connection", (socket: Socket) => {
    const inherited = idle(socket);
    setOptions(socket, { keepAlive: { idle: 40_000 } });
    console.log(JSON.stringify([inherited, idle(socket)]));
    setTimeout(() => process.exit(), 50);
  });
  await once(server, "listening");
  try {
    setOptions(server, { keepAlive: { idle: 60_000 } });
    console.log(idle(server));
  } catch (error) {
    console.log(String(error));
  }
  process.send!((server.address() as AddressInfo).port);
}
