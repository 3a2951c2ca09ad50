/**
 * What the kernel has for the sockets of a port that this process has open. Found through the
 * kernel's tables, independently of how the example came by its socket.
 *
 * @module
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
      // The descriptor of the directory itself is gone by now.
      return false;
    }
  });
  return descriptors.map((fd) => getOptions({ fd: Number(fd) }));
}
