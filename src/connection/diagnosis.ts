/** Finds out from the kernel and the event loop why a call ran out of time. */

import type { Attempt } from "../adapter.ts";
import { UnsupportedOptionError } from "../errors.ts";
import type { Obstacle } from "../kernel/obstacle.ts";
import { layoutObstacle, readTcpInfo, type TcpInfo } from "../kernel/tcp_info.ts";
import { silenceOf } from "../options/silence.ts";
import { tcpInfo } from "../options/tcp_info.ts";
import { adapter } from "../runtime.ts";
import type { TimerQueue } from "../time/timers.ts";

/** A delay of the event loop is mentioned if it was at least this long, ms. */
const notable = 50;

/** Describes the state of an open connection. It asks the kernel, so it is not for every call. */
export function diagnose(native: object, timers: TimerQueue): string {
  let what: string;
  let dataAge: number | undefined;
  // A diagnosis must not print a warning, as the program did not ask for it.
  const { obstacle } = adapter().loadKernel(true);
  try {
    if (obstacle !== undefined) what = outOfReach(obstacle);
    else {
      const info = tcpInfo(native);
      what = judge(info);
      dataAge = info.lastDataReceived;
    }
  } catch (error) {
    what = error instanceof UnsupportedOptionError
      ? outOfReach(error)
      : error instanceof TypeError
      ? "the kernel tells nothing about a Unix socket"
      : "the socket is closed already";
  }
  const late = Math.round(timers.late);
  if (late < notable) return what;
  const waiting = dataAge !== undefined && dataAge <= late
    ? `data came ${dataAge} ms ago and waits to be read`
    : what;
  return `${blocked(late)}; ${waiting}`;
}

function outOfReach({ reason, remedy }: Obstacle): string {
  return `what the kernel knows is out of reach: ${reason}${remedy ? ` (${remedy})` : ""}`;
}

/** Describes the state of an attempt that has not opened. */
export function diagnoseAttempt(attempt: Attempt<unknown> | undefined, timers: TimerQueue): string {
  const what = judgeAttempt(attempt?.fd?.());
  const late = Math.round(timers.late);
  return late < notable ? what : `${blocked(late)}; ${what}`;
}

/** Describes what the kernel knows about this attempt. */
function judgeAttempt(fd: number | undefined): string {
  // A diagnosis must not print a warning, as the program did not ask for it.
  const { kernel, obstacle } = adapter().loadKernel(true);
  if (obstacle !== undefined) return `no answer yet; ${outOfReach(obstacle)}`;
  if (fd === undefined || layoutObstacle() !== undefined) return "no answer yet";
  const info = readTcpInfo(kernel, fd);
  if (typeof info === "number" || info.state === "CLOSED") return "no answer yet";
  if (info.state !== "SYN-SENT") {
    return "the peer has answered, and the runtime has not said so yet";
  }
  const { retransmits = 0 } = info;
  return `SYN unanswered${retransmits > 0 ? ` (sent again ${count(retransmits, "time")})` : ""}`;
}

function blocked(ms: number): string {
  return `this process's event loop was blocked for ${ms} ms`;
}

function judge(info: TcpInfo): string {
  const { state, retransmits = 0, probes = 0, unacknowledged, notSent } = info;
  if (state === "CLOSED") return "the kernel has ended the connection";
  if (unacknowledged === undefined) return "this system does not tell what is unacknowledged";
  const silence = silenceOf(info);
  if (unacknowledged > 0 && retransmits > 0) {
    return `the peer does not acknowledge (${count(retransmits, "retransmission")}, ` +
      `last heard from ${silence} ms ago)`;
  }
  if (unacknowledged === 0 && notSent !== undefined && notSent > 0) {
    const asked = probes > 1 ? `${count(probes, "probe")} unanswered, ` : "";
    return `the peer's receive window is closed (${asked}last heard from ${silence} ms ago)`;
  }
  if (unacknowledged > 0) {
    return `the peer has not acknowledged everything yet (${
      count(unacknowledged, "segment")
    } on the way, last heard from ${silence} ms ago)`;
  }
  if (probes > 0) {
    return `the peer does not answer (${count(probes, "keepalive probe")}, ` +
      `last heard from ${silence} ms ago)`;
  }
  return `the peer acknowledged everything and is silent (last heard from ${silence} ms ago)`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
