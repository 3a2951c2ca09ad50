/** Tells the guard's subscribers of an option that the kernel refuses, after a garbage collection. */

import process from "node:process";

const { Bun } = globalThis as { Bun?: { gc(now: boolean): void } };
await new Promise((resolve) => setTimeout(resolve, 20));
Bun?.gc(true);
const { channel } = process.getBuiltinModule("node:diagnostics_channel");
channel("holdfast.guard").publish({ event: "failed", socket: { fd: 9 }, code: "EINVAL" });
process.exit(0);
