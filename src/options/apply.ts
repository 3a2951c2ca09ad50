/**
 * Plans applied to sockets: one by one, or to a listener for all of its connections.
 *
 * @module
 */

import type { Handle } from "../adapter.ts";
import type { Kernel } from "../kernel/kernel.ts";
import { deadPeerObstacle } from "./dead_peer.ts";
import { SocketError, toSocketError } from "../errors.ts";
import { errnoName } from "../kernel/errno.ts";
import type { Place } from "./table.ts";
import { knownSystem } from "../kernel/system.ts";
import { readTcpInfo } from "../kernel/tcp_info.ts";
import { familyOf } from "../kernel/tcp_socket.ts";
import {
  isNative,
  kernelFor,
  kernelObstacle,
  placesOf,
  type Setters,
  unsupported,
} from "./support.ts";
import { adapter } from "../runtime.ts";
import type { SocketPlan } from "./plan.ts";
import { setIn, type Setting } from "./encode.ts";

/**
 * Makes sure that a plan can be applied, before anything is dialled or changed.
 *
 * @throws {UnsupportedOptionError} An option cannot be set.
 */
export function checkSupported(plan: SocketPlan, target: "connection" | Handle): void {
  if (plan.deadPeerTimeout !== undefined) {
    const obstacle = deadPeerObstacle();
    if (obstacle !== undefined) throw unsupported("deadPeerTimeout", obstacle);
  }
  const setters: Setters = target === "connection" ? adapter().natives : target;
  const tuned = plan.tuning !== undefined;
  const valued = isValued(plan);
  for (const { name } of plan.settings) {
    if (isNative(name, setters, tuned, valued)) continue;
    const obstacle = kernelObstacle(name);
    if (obstacle === undefined) continue;
    const completing = setters.tuneKeepAlive && name.startsWith("keepAlive.")
      ? "give idle, interval and count together, or "
      : "";
    throw unsupported(name, { ...obstacle, remedy: completing + obstacle.remedy });
  }
}

function isValued({ settings }: SocketPlan): boolean {
  return settings.some(({ name }) => name.startsWith("keepAlive."));
}

/**
 * Sets what a plan says, which {@linkcode checkSupported} has let pass.
 *
 * @throws {SocketError} What the kernel or the runtime refused.
 */
export function applyPlan(handle: Handle, plan: SocketPlan): void {
  const { settings, tuning } = plan;
  if (settings.length === 0) return;
  const valued = isValued(plan);
  let fd = -1;
  for (const setting of settings) {
    const { name, value } = setting;
    if (isNative(name, handle, tuning !== undefined, valued)) {
      try {
        if (name === "noDelay") handle.setNoDelay!(value as boolean);
        else if (name === "keepAlive" && valued) handle.tuneKeepAlive!(...tuning!);
        else if (name === "keepAlive") handle.setKeepAlive!(value as boolean);
      } catch (cause) {
        throw toSocketError(cause, "setsockopt");
      }
      continue;
    }
    const kernel = kernelFor(name);
    if (fd < 0) fd = handle.fd();
    setRow(kernel, fd, setting);
  }
}

function setRow(kernel: Kernel, fd: number, setting: Setting): void {
  const [place4, place6] = placesOf(setting.name)!;
  const family = place6 === undefined ? "4" : familyOf(kernel, fd);
  if (family === "4") return mustSet(kernel, fd, place4!, setting);
  // IPv6 sockets have both, and which counts is a matter of the peer's address.
  const [first, second] = family === "6" ? [place6!, place4!] : [place4!, place6!];
  mustSet(kernel, fd, first, setting);
  setIn(kernel, fd, second, setting);
}

function mustSet(kernel: Kernel, fd: number, place: Place, setting: Setting): void {
  const result = setIn(kernel, fd, place, setting);
  if (result >= 0) return;
  const code = errnoName(-result);
  const detail = `the kernel refuses ${place.name} for '${setting.name}'`;
  throw new SocketError({ code, operation: "setsockopt", detail });
}

/**
 * Sets a plan on a listener, so that its connections inherit it. Answers how many connections still
 * to be accepted have to be given the plan one by one: those that came before it was set, at most
 * the `longest` queue, or `Infinity` where nothing is inherited.
 */
export function inheritPlan(listener: Handle, plan: SocketPlan, longest: number): number {
  const { settings } = plan;
  if (settings.length === 0) return 0;
  const valued = isValued(plan);
  const tuned = plan.tuning !== undefined;
  const nativeBy = (setters: Setters) =>
    settings.every(({ name }) => isNative(name, setters, tuned, valued));
  // Elsewhere accepted sockets inherit some options and not others, each system its own.
  const inherits = knownSystem() === "linux";
  // The runtime's own setters do it: no reason to load FFI, of which Node warns.
  if (nativeBy(adapter().natives)) {
    if (!inherits || !nativeBy(listener)) return Infinity;
    applyPlan(listener, plan);
    return longest;
  }
  if (!inherits || "reason" in adapter().kernel()) return Infinity;
  applyPlan({ kind: "listener", fd: () => listener.fd() }, plan);
  // Some runtimes set TCP_NODELAY on what they accept.
  if (settings.some(({ name, value }) => name === "noDelay" && value === false)) return Infinity;
  return waiting(listener.fd());
}

/** Connections in the accept queue. */
function waiting(fd: number): number {
  const info = readTcpInfo(kernelFor("tcpInfo"), fd);
  return typeof info === "number" ? Infinity : info.unacknowledged ?? Infinity;
}
