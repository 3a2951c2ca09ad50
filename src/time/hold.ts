/**
 * What keeps the process alive: calls that wait, and nothing else. The runtimes differ in which idle
 * sockets do, so theirs never do, and one timer stands for all calls.
 *
 * @module
 */

import { nativeTimers } from "./native_timers.ts";

/** Longest delay that the runtimes' timers take. */
const longest = 2 ** 31 - 1;
/**
 * Most waits are followed by the next one, which then costs no timer. So long the process may outlive
 * its last wait, in ms.
 */
const grace = 10;

let waits = 0;
let timer: unknown;
let lasting = false;

/** A wait begins. */
export function hold(): void {
  waits++;
  if (timer === undefined) start(longest);
}

/** It is over. */
export function release(): void {
  waits--;
  if (waits === 0 && lasting) start(grace);
}

/** The process may end at once, if nothing waits: a socket was closed, and is to leave no timer. */
export function letGo(): void {
  if (waits > 0) return;
  nativeTimers().clearTimeout(timer);
  timer = undefined;
}

function start(ms: number): void {
  const { setTimeout, clearTimeout } = nativeTimers();
  clearTimeout(timer);
  lasting = ms === longest;
  timer = setTimeout(look, ms);
}

function look(): void {
  timer = undefined;
  if (waits > 0) start(longest);
}
