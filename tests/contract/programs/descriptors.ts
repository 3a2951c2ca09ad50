/** Uses up all its descriptors, then dials and listens, and prints the results. */

import { closeSync, openSync } from "node:fs";
import process from "node:process";
import { capabilities, connect, listen } from "@holdfast/tcp";

// Deno 2.9.6 first needs descriptors for signals half a second after its start, and panics when it
// gets none. So it gets them now.
process.on("SIGUSR2", () => {});

const hostname = "127.0.0.1";
const timeout = 5_000;
const settings = [
  {},
  { reuseAddress: false },
  { reusePort: true },
  { ipv6Only: false },
].filter((options) =>
  Object.keys(options).every((key) => capabilities().options[key as "ipv6Only"].set !== "none")
);
// Loads what the calls need.
for (const options of settings) (await listen({ hostname, port: 0, timeout, ...options })).close();
const listener = await listen({ hostname, port: 0, timeout });

const held: number[] = [];
try {
  for (;;) held.push(openSync("/dev/null", "r"));
} catch {
  // All descriptors are in use.
}
const lines: string[] = [];
const note = async (name: string, call: () => Promise<{ close(): void }>) => {
  const outcome = await call().then(
    () => "opened",
    ({ name, code }) => `${name} ${code}`,
  );
  lines.push(`${name}: ${outcome}`);
};
await note("connect", () => connect({ hostname, port: listener.addr.port, timeout }));
for (const options of settings) {
  await note(
    `listen ${Object.keys(options)[0]}`,
    () => listen({ hostname, port: 0, timeout, ...options }),
  );
}
for (const fd of held) closeSync(fd);
const again = await listen({ hostname, port: 0, timeout });
lines.push(`listen again: ${again.addr.port > 0}`);
console.log(JSON.stringify(lines));
process.exit(0);
