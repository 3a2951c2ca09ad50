/**
 * Uses up all descriptors, listens on the path of the command line, and prints the code of the error.
 */

import { closeSync, openSync } from "node:fs";
import process from "node:process";
import { listen, type SocketError } from "@holdfast/tcp";

const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 1_000 });
const held: number[] = [];
try {
  for (;;) held.push(openSync("/dev/null", "r"));
} catch {
  // There are no more.
}
const error: unknown = await listen({ path: process.argv[2]!, timeout: 1_000 }).catch((error) =>
  error
);
for (const fd of held) closeSync(fd);
console.log((error as SocketError).code);
listener.close();
process.exit();
