/**
 * Reads what the kernel has for this process's sockets of a port. They are found in the kernel's tables,
 * independent of how the example found its socket.
 */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { getOptions, type KernelOptions } from "@holdfast/tcp";

/** Options of every established connection of this process with `port` at the given end. */
export function report(port: number, end: "local" | "remote"): KernelOptions[] {
  const number = (address = "") => parseInt(address.split(":").at(-1)!, 16);
  const rows = ["/proc/net/tcp", "/proc/net/tcp6"]
    .flatMap((file) => readFileSync(file, "utf8").trim().split("\n").slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, remote, state]) =>
      number(end === "local" ? local : remote) === port && state === "01"
    );
  const links = rows.map((fields) => `socket:[${fields[9]}]`);
  const descriptors = readdirSync("/proc/self/fd").filter((fd) => {
    try {
      return links.includes(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      // This was the descriptor of the directory itself, which is closed by now.
      return false;
    }
  });
  return descriptors.map((fd) => getOptions({ fd: Number(fd) }));
}
