/**
 * Keeps the process alive as long as calls wait. The runtimes differ in which idle sockets keep it alive,
 * so all of theirs are unref'd, and one timer here stands for all calls.
 */

import { longestDelay, nativeTimers } from "./native_timers.ts";

/**
 * How long the timer goes on after the last wait, in ms. Most waits are soon followed by the next, which
 * then needs no new timer.
 */
const grace = 10;

let waits = 0;
let timer: unknown;
let lasting = false;

/** To be called when a wait begins. */
export function hold(): void {
  waits++;
  if (timer === undefined) start(longestDelay);
}

/** To be called when a wait is over. */
export function release(): void {
  waits--;
  if (waits === 0 && lasting) start(grace);
}

/** Lets the process end at once if nothing waits: a socket that was closed must leave no timer. */
export function letGo(): void {
  if (waits > 0) return;
  nativeTimers().clearTimeout(timer);
  timer = undefined;
}

function start(ms: number): void {
  const { setTimeout, clearTimeout } = nativeTimers();
  clearTimeout(timer);
  lasting = ms === longestDelay;
  timer = setTimeout(look, ms);
}

function look(): void {
  timer = undefined;
  if (waits > 0) start(longestDelay);
}
