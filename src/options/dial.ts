/**
 * What is done to a socket before its handshake: it gets its source address, the options on which the
 * handshake depends, and what the caller's `prepare` does.
 */

import { checkInteger, checkNumber, checkTime, copyOptions, fail, type Options } from "../check.ts";
import { constants } from "../kernel/constants.ts";
import { type BeforeHandshake, bindSource, type Source } from "../kernel/handshake.ts";
import { noSuchOption, type Obstacle, unsupported } from "../kernel/obstacle.ts";
import { literalVersion } from "../kernel/sockaddr.ts";
import { adapter } from "../runtime.ts";
import { applyPlan, type Step } from "./apply.ts";
import type { RowName } from "./table.ts";
import type { RetryOptions } from "./types.ts";

/** The options of `connect` that count only while dialling, checked. */
export interface DialPlan {
  /** Left out when nothing of it was given. */
  readonly source: Source | undefined;
  readonly prepare: ((socket: { readonly fd: number }) => void) | undefined;
  readonly retry: Required<RetryOptions> | undefined;
}

/** The keys of those that need access to the socket before its handshake. */
export const beforeNames = ["localAddress", "localPort", "interface", "prepare"] as const;
export type BeforeName = typeof beforeNames[number];

export const dialKeys: readonly string[] = [...beforeNames, "retry"];

/** Set before the handshake: the window's scale, the SYN's header and the first round trips depend on them. */
const early = new Set<RowName>([
  "receiveBufferSize",
  "sendBufferSize",
  "typeOfService",
  "hopLimit",
  "congestionControl",
]);

/** Checks the options of `connect` that count only while dialling. */
export function checkDial(given: Options, verb: string): DialPlan {
  const { localAddress, localPort, interface: name, prepare, retry } = given;
  if (localAddress !== undefined) {
    if (typeof localAddress !== "string" || literalVersion(localAddress) === undefined) {
      fail(TypeError, verb, "localAddress", "must be an IP address of this machine", localAddress);
    }
  }
  if (localPort !== undefined) checkInteger(localPort, "localPort", 1, 65_535, verb);
  if (name !== undefined) {
    const expected = "must be the name of a network interface, 1 to 15 characters";
    if (typeof name !== "string") fail(TypeError, verb, "interface", expected, name);
    // IFNAMSIZ is 16, which includes the zero at the end.
    if (!/^[!-.0-~]{1,15}$/.test(name)) fail(RangeError, verb, "interface", expected, name);
  }
  if (prepare !== undefined && typeof prepare !== "function") {
    fail(TypeError, verb, "prepare", "must be a function", prepare);
  }
  const anywhere = localAddress === undefined && localPort === undefined && name === undefined;
  return {
    source: anywhere ? undefined : { localAddress, localPort, interface: name } as Source,
    prepare: prepare as DialPlan["prepare"],
    retry: retry === undefined ? undefined : checkRetry(retry, verb),
  };
}

function checkRetry(value: unknown, verb: string): Required<RetryOptions> {
  const { delay = 100, factor = 2, max = 5_000 } = copyOptions(
    value,
    ["delay", "factor", "max"],
    verb,
    "retry",
  );
  return {
    delay: checkTime(delay, "retry.delay", verb),
    factor: checkNumber(factor, "retry.factor", 1, 100, verb, "must be a number from 1 to 100"),
    max: checkTime(max, "retry.max", verb),
  };
}

/** Why there is no access to a socket before its handshake, or `undefined` where there is. */
export function beforeObstacle(name: BeforeName): Obstacle | undefined {
  if (name === "interface" && constants.SO_BINDTODEVICE === undefined) {
    return noSuchOption();
  }
  const { loadKernel, dialsFrom } = adapter();
  if (dialsFrom && (name === "localAddress" || name === "localPort")) return undefined;
  return loadKernel().obstacle;
}

/** How to dial, and what to set on the open connection afterwards. */
export interface Preparation {
  readonly before?: BeforeHandshake;
  /** The source address, for a runtime that binds to it without system calls. */
  readonly source?: Source;
  readonly later: readonly Step[];
}

/** Carries what `prepare` threw through the attempt, so that `connect` rejects with nothing else. */
export class Thrown extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super("prepare has thrown");
    this.reason = reason;
  }
}

/** Calls `prepare`, and refuses an async one: what it does after an `await` would come after the handshake. */
function callPrepare(prepare: DialPlan["prepare"], fd: number): void {
  try {
    const result: unknown = prepare?.({ fd });
    if (!(result instanceof Promise)) return;
    result.catch(() => {});
  } catch (reason) {
    throw new Thrown(reason);
  }
  throw new TypeError("Cannot connect as 'prepare' must not return a promise");
}

function isEarly({ entry, setter }: Step): boolean {
  return setter === undefined && early.has(entry.name);
}

/**
 * Decides what is done before the handshake. Where nothing is, the runtime dials by itself.
 *
 * @throws {UnsupportedOptionError} There is no access to the socket before its handshake.
 */
export function prepareDial(
  { source, prepare }: DialPlan,
  steps: readonly Step[],
  signal: AbortSignal | undefined,
): Preparation {
  const first = steps.filter(isEarly);
  if (first.length === 0 && source === undefined && prepare === undefined) return { later: steps };
  for (const name of beforeNames) {
    if ((name === "prepare" ? prepare : source?.[name]) === undefined) continue;
    const obstacle = beforeObstacle(name);
    if (obstacle !== undefined) throw unsupported(name, obstacle);
  }
  const { kernel } = adapter().loadKernel();
  // Then only a source address was given, to which this runtime binds by itself.
  if (kernel === undefined) return { source, later: steps };
  return {
    before(fd, address) {
      callPrepare(prepare, fd);
      // An abort within `prepare` finds no attempt yet that it could call off.
      signal?.throwIfAborted();
      if (source !== undefined) bindSource(kernel, fd, source, address);
      applyPlan({ kind: "connection", fd: () => fd }, first);
    },
    later: steps.filter((step) => !first.includes(step)),
  };
}

/**
 * Refuses options that have to be set before the handshake, where a socket of `node:net` cannot be
 * reached.
 *
 * @throws {UnsupportedOptionError} There is such an option.
 */
export function refuseEarly(options: Options): void {
  const name = Object.keys(options)
    .find((name) => options[name] !== undefined && early.has(name as RowName));
  if (name === undefined) return;
  throw unsupported(name, {
    reason: "a socket of node:net is out of reach before its handshake",
    remedy: "use connect",
  });
}
