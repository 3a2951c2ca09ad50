/**
 * Listens with the options given as JSON, and prints the port or the code of the error. For every line on its
 * standard input it prints how many connections it has accepted. Ends with its input.
 */

import process from "node:process";
import { createInterface } from "node:readline";
import { listen, type TcpListener } from "@holdfast/tcp";

let accepted = 0;

async function count(listener: TcpListener) {
  for await (const socket of listener) {
    accepted++;
    await socket.write(new Uint8Array([1]));
    socket.close();
  }
}

try {
  const listener = await listen(JSON.parse(process.argv[2]!));
  count(listener);
  console.log(listener.addr.port);
  const lines = createInterface({ input: process.stdin });
  lines.on("line", () => console.log(accepted));
  lines.on("close", () => process.exit());
} catch (error) {
  console.log((error as { code?: string }).code ?? String(error));
}
