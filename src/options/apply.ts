/** Applies plans to single sockets, or to a listener for all of its connections. */

import type { Handle } from "../adapter.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { deadPeerObstacle } from "./dead_peer.ts";
import { unsupported } from "../kernel/obstacle.ts";
import type { RowName } from "./table.ts";
import { knownSystem } from "../kernel/system.ts";
import { readTcpInfo } from "../kernel/tcp_info.ts";
import { familyOf, refused } from "../kernel/tcp_socket.ts";
import {
  keepAliveRows,
  kernelFor,
  placesOf,
  type Setter,
  type Setters,
  supportOf,
} from "./support.ts";
import { adapter } from "../runtime.ts";
import type { PlannedOption, SocketPlan } from "./plan.ts";
import { setIn, toKernelTime, type Value } from "./encode.ts";

/** An option and how it is set: by the runtime's `setter`, or without one by the kernel. */
export interface Step {
  readonly entry: PlannedOption;
  readonly setter?: Setter | undefined;
}

/** Options of which it is known that and how they can be set here. */
export interface SupportedPlan extends SocketPlan {
  readonly steps: readonly Step[];
}

/**
 * Decides how each option of a plan is set on a socket that has `setters`, before anything is dialled
 * or changed.
 *
 * @throws {UnsupportedOptionError} An option cannot be set.
 */
export function supportedPlan(plan: SocketPlan, setters: Setters): SupportedPlan {
  if (plan.deadPeerTimeout !== undefined) {
    const obstacle = deadPeerObstacle();
    if (obstacle !== undefined) throw unsupported("deadPeerTimeout", obstacle);
  }
  const steps: Step[] = [];
  for (const entry of plan.entries) steps.push(supportedStep(entry, setters));
  const { entries, given, deadPeerTimeout } = plan;
  return { entries, given, deadPeerTimeout, steps };
}

/** Does what {@linkcode supportedPlan} does, for one option. */
export function supportedStep(entry: PlannedOption, setters: Setters): Step {
  const support = supportOf(entry, setters);
  if (support.road === "none") throw unsupported(support.option, support.obstacle);
  return { entry, setter: support.setter };
}

/**
 * Takes all steps of a plan.
 *
 * @throws {Refusal} What the kernel refused, or what the runtime's setter throws.
 */
export function applyPlan(handle: Handle, steps: readonly Step[]): void {
  let fd = -1;
  for (const { entry, setter } of steps) {
    if (setter !== undefined) {
      setNatively(handle, setter, entry);
      continue;
    }
    const { name, value } = entry;
    const kernel = kernelFor(name);
    if (fd < 0) fd = handle.fd();
    const rows = name === "keepAlive" ? keepAliveRows(value) : [[name, value] as const];
    for (const [row, part] of rows) setRow(kernel, fd, row, part);
  }
}

function setNatively(handle: Handle, setter: Setter, { name, value }: PlannedOption): void {
  if (name !== "keepAlive") return handle.setNoDelay!(value as boolean);
  if (setter === "setKeepAlive") return handle.setKeepAlive!(value.on);
  const idle = toKernelTime(value.idle!, "s");
  if (setter === "setKeepAliveIdle") return handle.setKeepAliveIdle!(idle);
  handle.tuneKeepAlive!(idle, toKernelTime(value.interval!, "s"), value.count!);
}

function setRow(kernel: Kernel, fd: number, name: RowName, value: Value): void {
  const [place4, place6] = placesOf(name)!;
  const family = place6 === undefined ? "4" : familyOf(kernel, fd);
  const place = family === "6" ? place6! : place4!;
  const result = setIn(kernel, fd, place, name, value);
  if (result < 0) throw refused(result, `the kernel refuses ${place.name} for '${name}'`);
  // An IPv6 socket has the options of both families, and the peer's address decides which count.
  if (family !== "4") setIn(kernel, fd, family === "6" ? place4! : place6!, name, value);
}

/**
 * Sets a plan on a listener, so that its connections inherit it. Returns how many of the connections that
 * are accepted next need the plan set one by one, since they came before: at most `longest`, or
 * `Infinity` where connections do not inherit all of it.
 */
export function inheritPlan(listener: Handle, { steps }: SupportedPlan, longest: number): number {
  if (steps.length === 0) return 0;
  // On every other system accepted sockets inherit only some of the options.
  if (knownSystem() !== "linux") return Infinity;
  // The runtime's own setters do it, so FFI, for which Node prints a warning, need not be loaded.
  const native = steps.every(({ setter }) => setter !== undefined);
  if (native && steps.every(({ setter }) => listener[setter!])) {
    applyPlan(listener, steps);
    return longest;
  }
  if (adapter().loadKernel(native).obstacle !== undefined) return Infinity;
  applyPlan(listener, steps.map(({ entry }) => ({ entry })));
  // Some runtimes set TCP_NODELAY on what they accept.
  if (steps.some(({ entry: { name, value } }) => name === "noDelay" && value === false)) {
    return Infinity;
  }
  return waiting(listener.fd());
}

/** How many connections are in the accept queue. */
function waiting(fd: number): number {
  const info = readTcpInfo(kernelFor("tcpInfo"), fd);
  return typeof info === "number" ? Infinity : info.unacknowledged ?? Infinity;
}
