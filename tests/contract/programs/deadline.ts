/**
 * A process with nothing left to do but the signal of a deadline, half a minute ahead.
 *
 * @module
 */

import { Deadline } from "@holdfast/tcp";

const { signal } = Deadline.after(30_000);
signal.addEventListener("abort", () => console.log("aborted"));
console.log(signal.aborted);
