/**
 * How long work that never has to wait may keep the event loop from turning.
 *
 * Calls that the kernel or a buffer serves at once resolve without a turn: a loop over them would hold
 * up every timer and every other connection of the process. So all of them share one measure.
 *
 * @module
 */

import { nativeTimers, now } from "./native_timers.ts";

/** Longest stretch without a turn, ms. */
const longest = 3;
/** A call costs about as much as copying so many bytes. */
const call = 16_384;
/** After so much work, in bytes, the clock is looked at: about half a millisecond. */
const glance = 1_048_576;

/** Whether the event loop has to turn before anything else is done at once. */
export let over: boolean = false;
let work = 0;
let began: number | undefined;

/** Counts a call that was served at once, and the bytes that it moved. */
export function spend(bytes: number): void {
  work += bytes + call;
  if (work >= glance) look();
}

function look(): void {
  work = 0;
  if (began === undefined) {
    began = now();
    nativeTimers().setImmediate(turned);
  } else over = now() - began > longest;
}

function turned(): void {
  work = 0;
  began = undefined;
  over = false;
}

/** Runs `resume` when the event loop has turned. */
export function afterTurn(resume: () => void): void {
  nativeTimers().setImmediate(resume);
}
