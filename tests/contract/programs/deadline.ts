/**
 * A process that has nothing left to do but wait for the signal of a deadline, half a minute ahead.
 */

import { Deadline } from "@holdfast/tcp";

const { signal } = Deadline.after(30_000);
signal.addEventListener("abort", () => console.log("aborted"));
console.log(signal.aborted);
