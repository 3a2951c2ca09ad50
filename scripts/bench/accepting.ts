/**
 * Accepts on the port that its argument names, which it shares with other processes. Prints the port, and
 * for each line that it reads how many connections it has accepted.
 */

import process from "node:process";
import { listen } from "../../mod.ts";

const listener = await listen({
  hostname: "127.0.0.1",
  port: Number(process.argv[2]),
  reusePort: true,
  backlog: 4_096,
  timeout: null,
});
const connections: unknown[] = [];
console.log(listener.addr.port);
process.stdin.on("data", () => console.log(connections.length));
for await (const connection of listener) connections.push(connection);
