/** Finds out from Linux's `/proc` which process uses a port. */

import type { Modules } from "./modules.ts";
import { builtin, host } from "./system.ts";

/** How many descriptors are looked at: the search holds the event loop, a few us for each. */
const mostLinks = 20_000;

const LISTEN = "0A";
const SYN_RECV = "03";
const TIME_WAIT = "06";

/**
 * Describes in a few words which process or connection keeps a listener from the port. `undefined` when
 * `/proc` does not show any. The caller makes sure that this process may read `/proc`.
 */
export function portHolder(
  port: number,
  reuseAddress: boolean,
  most: number = mostLinks,
): string | undefined {
  const rows = rowsOf(port);
  const listening = rows?.find(({ state }) => state === LISTEN);
  if (listening !== undefined) {
    try {
      return ownerOf(builtin("node:fs"), listening, most);
    } catch {
      return undefined;
    }
  }
  if (rows === undefined || rows.length === 0 || reuseAddress) return undefined;
  const waiting = rows.filter(({ state }) => state === TIME_WAIT).length;
  const what = waiting > 0
    ? `${waiting} of its connections ${waiting === 1 ? "is" : "are"} in TIME_WAIT`
    : `${rows.length} of its connections are open`;
  return `${what}, and reuseAddress is false`;
}

/**
 * How many sockets listen on the port, or `undefined` when nothing tells. The caller makes sure that this
 * process may read `/proc`.
 */
export function listenersOn(port: number): number | undefined {
  return rowsOf(port)?.filter(({ state }) => state === LISTEN).length;
}

/** The other sides of the handshakes with a port that have begun. As for {@linkcode listenersOn}. */
export function handshakesOn(port: number): string[] {
  const begun = rowsOf(port)?.filter(({ state }) => state === SYN_RECV) ?? [];
  return begun.map(({ remote }) => remote);
}

interface Row {
  readonly remote: string;
  readonly state: string;
  readonly user: string;
  readonly inode: string;
}

/** The sockets of both families that have this local port, or `undefined` where `/proc` shows none. */
function rowsOf(port: number): Row[] | undefined {
  const { existsSync, readFileSync } = builtin("node:fs");
  const end = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows: Row[] = [];
  try {
    // The second one is missing where the kernel has no IPv6.
    for (const file of ["/proc/net/tcp", "/proc/net/tcp6"].filter((file) => existsSync(file))) {
      for (const line of readFileSync(file, "latin1").split("\n").slice(1)) {
        if (!line.includes(end)) continue;
        const [, local, remote, state, , , , user, , inode] = line.trim().split(/\s+/);
        if (!local!.endsWith(end)) continue;
        rows.push({ remote: remote!, state: state!, user: user!, inode: inode! });
      }
    }
    return rows;
  } catch {
    return undefined;
  }
}

/**
 * Describes the process that has the socket, as far as this process may see. It looks at itself first, and
 * leaves out processes with more descriptors than it may still look at.
 */
function ownerOf(fs: Modules["node:fs"], { inode, user }: Row, most: number): string {
  const link = `socket:[${inode}]`;
  const own = String(host().pid);
  const others = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name) && name !== own);
  let left = most;
  let skipped = false;
  for (const pid of [own, ...others]) {
    try {
      const fds = fs.readdirSync(`/proc/${pid}/fd`);
      if (fds.length > left) {
        skipped = true;
        continue;
      }
      left -= fds.length;
      if (!fds.some((fd) => target(fs, `/proc/${pid}/fd/${fd}`) === link)) continue;
      const name = fs.readFileSync(`/proc/${pid}/comm`, "latin1").trim();
      return pid === own ? "this process listens there" : `process ${pid} (${name}) listens there`;
    } catch {
      // The process has ended, or belongs to another user.
    }
  }
  if (skipped) return "another process listens there";
  return `a process of user ${user} listens there`;
}

/** What a descriptor is, or `undefined` when it is closed by now, as the one is that listed the others. */
function target(fs: Modules["node:fs"], path: string): string | undefined {
  try {
    return fs.readlinkSync(path);
  } catch {
    return undefined;
  }
}
