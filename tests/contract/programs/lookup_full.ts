/** Dials a name while no descriptor is free, and prints the code of the error. */

import { closeSync, openSync } from "node:fs";
import process from "node:process";
import { connect, type SocketError } from "@holdfast/tcp";

const dial = () =>
  connect({ hostname: "localhost", port: 1, timeout: 10_000 })
    .then(() => "connected", (error: SocketError) => error.code);

// Loads what dialling needs.
await dial();
// Deno opens the descriptors of its signal handling late, and panics when none is free:
// https://github.com/denoland/deno/blob/v2.9.6/ext/signals/lib.rs#L58
const ignore = () => {};
process.on("SIGUSR2", ignore).off("SIGUSR2", ignore);
const all: number[] = [];
try {
  for (;;) all.push(openSync("/dev/null", "r"));
} catch {
  // None is free now.
}
const code = await dial();
for (const fd of all) closeSync(fd);
console.log(code);
