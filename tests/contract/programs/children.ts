/**
 * Asks about a socket again and again, while another thread starts child processes. Prints how many of the
 * children have inherited it.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readlinkSync } from "node:fs";
import net, { type AddressInfo } from "node:net";
import process from "node:process";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { sockets, tcpInfo } from "@holdfast/tcp";

const children = 50;

async function ask(): Promise<void> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const [entry] = sockets({ localPort: (server.address() as AddressInfo).port });
  let inherited: number | undefined;
  const workerData = readlinkSync(`/proc/self/fd/${entry!.fd}`);
  const starter = new Worker(new URL(import.meta.url), { workerData });
  starter.on("message", (count: number) => inherited = count);
  while (inherited === undefined) {
    for (let i = 0; i < 2_000; i++) tcpInfo(entry!);
    await new Promise((resolve) => setImmediate(resolve));
  }
  console.log(inherited);
  process.exit(0);
}

async function start(): Promise<void> {
  let inherited = 0;
  for (let i = 0; i < children; i++) {
    const child = spawn("sleep", ["30"], { stdio: "ignore" });
    await once(child, "spawn");
    // Until the child executes its program, it still has what it does not inherit.
    while (!readlinkSync(`/proc/${child.pid}/exe`).endsWith("/sleep")) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const folder = `/proc/${child.pid}/fd`;
    if (readdirSync(folder).some((fd) => target(`${folder}/${fd}`) === workerData)) inherited++;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  parentPort!.postMessage(inherited);
}

/** What a descriptor leads to; nothing if the child has just closed it. */
function target(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

await (isMainThread ? ask() : start());
