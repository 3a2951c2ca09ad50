/** Finds descriptors of this process by the ports of their sockets, in the kernel's tables. */

import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** One descriptor of each socket with these ports. The remote port of a listener is 0. */
export function descriptorsOf(localPort: number, remotePort: number): number[] {
  const port = (address = "") => parseInt(address.split(":").at(-1)!, 16);
  const links = new Set(
    ["/proc/net/tcp", "/proc/net/tcp6"]
      .flatMap((file) => readFileSync(file, "utf8").trim().split("\n").slice(1))
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local, remote]) => port(local) === localPort && port(remote) === remotePort)
      .map((fields) => `socket:[${fields[9]}]`),
  );
  const found = new Map<string, number>();
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      const link = readlinkSync(`/proc/self/fd/${fd}`);
      if (links.has(link)) found.set(link, Number(fd));
    } catch {
      // This was the descriptor of the directory itself, which is closed by now.
    }
  }
  return [...found.values()];
}
