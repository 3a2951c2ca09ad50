/** Options for every TCP socket of the process, now and later. */

import { checkNumber, copyOptions } from "../check.ts";
import type { SocketEntry } from "../kernel/entry.ts";
import { supportedPlan } from "../options/apply.ts";
import { socketKeys, socketPlan } from "../options/plan.ts";
import type { SocketOptions } from "../options/types.ts";
import { checkFilter, type SocketFilter } from "./filter.ts";
import { Rounds } from "./rounds.ts";
import { kernelForSockets } from "./sockets.ts";

/** Options of {@linkcode guard}: what to set, on which sockets, and how soon. */
export interface GuardOptions extends SocketOptions {
  /**
   * Which sockets, as for `sockets()`. Each socket is checked once, when it is connected or listens.
   * @default all
   */
  match?: SocketFilter;
  /**
   * A new socket gets its options within this many ms, at least 10.
   * @default 1_000
   */
  every?: number;
  /**
   * Ends a connection whose peer is gone within this many ms after the peer was last heard from, plus at
   * most one probe interval (an eighth of it, at least a second). That holds while the connection is
   * idle, has data in flight, or waits before a closed window. A peer that answers is never given up.
   * The connection's owner sees `ETIMEDOUT` or `ECONNRESET`. An attempt to connect ends with `ETIMEDOUT`
   * after this time, unless `match` is a function or asks for the remote end, which is not known yet. At
   * least 1,000. Any version of Linux. Cannot be given together with `keepAlive` or `userTimeout`.
   */
  deadPeerTimeout?: number;
}

/** On how many sockets a guard has done what so far. */
export interface GuardStats {
  /** Sockets that matched. */
  readonly seen: number;
  /** Sockets on which the options were set. */
  readonly applied: number;
  /** Sockets on which the kernel refused an option. */
  readonly failed: number;
  /** Connections that were ended because their peer was gone. */
  readonly ended: number;
}

/** A running guard, which goes on until it is closed. */
export interface Guard extends Disposable {
  /** The open sockets that got the options from this guard. */
  readonly sockets: SocketEntry[];
  /** What it has done so far. */
  readonly stats: GuardStats;
  /** Ends the guard. Sockets keep their options. Idempotent. */
  close(): void;
}

/**
 * Sets socket options on every TCP socket of this process that this library did not open: those of
 * `fetch`, of servers, of database clients. Open sockets get them at once, new ones within `every` ms,
 * and those of `node:net` as soon as they are connected, where the runtime has diagnostics channels. On
 * Linux, connections inherit the options of their listener. Options are set once on each socket, so that
 * its owner can change them later. Up to 750 sockets get them at once, and more at a rate of 3,000 a second. A
 * guard does not keep the process alive.
 *
 * Linux and macOS. In Deno it needs `--allow-ffi`. A guard sees the sockets of all threads, but it can
 * leave out this library's own only in its own thread.
 *
 * @param options What to set, on which sockets, and how soon. At least one socket option.
 * @throws {TypeError | RangeError} An option is unknown or out of range, or there is none.
 * @throws {UnsupportedOptionError} An option cannot be set here.
 *
 * @example A database whose driver hides its sockets
 * ```ts
 * import { guard } from "@holdfast/tcp";
 *
 * using guarded = guard({
 *   match: { remotePort: [5432, 6379] },
 *   keepAlive: { idle: 60_000, interval: 10_000, count: 3 },
 *   userTimeout: 30_000,
 * });
 * console.log(guarded.stats.seen); // 0
 * ```
 */
export function guard(options: GuardOptions): Guard {
  const given = copyOptions(options, ["match", "every", ...socketKeys], verb);
  const plan = socketPlan(given, verb, 1_000);
  const matches = checkFilter(given.match, verb);
  const { every = 1_000 } = given;
  const expected = "must be a number of milliseconds, at least 10";
  const interval = checkNumber(every, "every", 10, Number.MAX_VALUE, verb, expected);
  if (plan.given.length === 0) {
    throw new TypeError(`Cannot ${verb} sockets as no socket option is given`);
  }
  const kernel = kernelForSockets();
  const supported = supportedPlan(plan, {});
  // Attempts to connect end after the same time, unless `match` is a function, which may decide differently
  // once it sees the address of the peer.
  const userTimeout = plan.entries.find(({ name }) => name === "userTimeout")?.value;
  const limit = plan.deadPeerTimeout ?? userTimeout;
  const limited = typeof limit === "number" && typeof given.match !== "function";
  const attempt = limited ? Math.min(Math.ceil(limit), longest) : undefined;
  const rounds = new Rounds(kernel, { options: supported, matches, attempt, every: interval });
  return {
    get sockets() {
      return rounds.sockets;
    },
    get stats() {
      return rounds.count();
    },
    close: () => rounds.close(),
    [Symbol.dispose]: () => rounds.close(),
  };
}

const verb = "guard";
const longest = 2 ** 31 - 1;
