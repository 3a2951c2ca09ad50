/**
 * A server that is replaced by others. It answers each connection once, on the port of its first argument or
 * the descriptor that it has inherited, and ends well on SIGTERM.
 */

import process from "node:process";
import { listen, type TcpConnection } from "../../../mod.ts";

const port = Number(process.argv[2]);
const listener = await listen(
  process.argv[3] === "inherited"
    ? { fd: 3, timeout: 10_000 }
    : { hostname: "0.0.0.0", port, timeout: 10_000, reusePort: true },
);
process.once("SIGTERM", async () => {
  const { reset } = await listener.shutdown({ timeout: 10_000 });
  if (reset > 0) process.exitCode = 2;
});
console.log(listener.addr.port);
for await (const socket of listener) {
  answer(socket).catch((error) => {
    console.error(error);
    process.exitCode = 1;
  });
}

/** Sends a request back. */
async function answer(socket: TcpConnection): Promise<void> {
  using _ = socket;
  const request = new Uint8Array(64);
  for (let size = 0; size < request.length;) {
    const count = await socket.read(request.subarray(size));
    if (count === null) return;
    size += count;
  }
  await socket.write(request);
  await socket.end();
}
