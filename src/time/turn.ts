/**
 * Keeps calls that never have to wait from blocking the event loop.
 *
 * A call that the kernel or a buffer serves at once resolves without a turn of the event loop. A loop of
 * such calls would hold up every timer and every other connection of the process. So all of them count
 * towards one limit, after which calls wait for a turn.
 */

import { nativeTimers, now } from "./native_timers.ts";

/** The longest time without a turn, ms. */
const longest = 3;
/** A call counts as this many bytes: 256 of them take about as long as copying a MiB. */
const call = 4_096;
/** The clock is read after this much work in bytes, which takes about half a millisecond. */
const clockCheck = 1_048_576;

/** Whether the event loop has to turn before another call is served. */
export let over: boolean = false;
let work = 0;
let began: number | undefined;

/** Counts a call that was served at once, and the bytes that it moved. */
export function spend(bytes: number): void {
  work += bytes + call;
  if (work >= clockCheck) look();
}

function look(): void {
  work = 0;
  if (began === undefined) {
    began = now();
    // Not setImmediate: Deno's event loop would turn more often, and serve fewer sockets each time.
    nativeTimers().setTimeout(turned, 1).unref();
  } else over = now() - began > longest;
}

function turned(): void {
  work = 0;
  began = undefined;
  over = false;
}

/** Runs `resume` after a turn of the event loop. */
export function afterTurn(resume: () => void): void {
  nativeTimers().setImmediate(() => {
    turned();
    resume();
  });
}
