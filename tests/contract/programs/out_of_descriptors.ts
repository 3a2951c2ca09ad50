/**
 * A server that keeps every connection until it runs out of descriptors. It prints its port, and two
 * seconds after the first connection how many it has. Then it closes these, and sends one byte to each
 * later client; with the argument `unref` it calls that instead. Only its listener keeps it alive.
 */

import process from "node:process";
import { setTimeout } from "node:timers";
import { listen, type TcpConnection } from "@holdfast/tcp";

// Deno 2.9.6 first needs descriptors for signals half a second after its start, and panics when it
// gets none. So it gets them now.
process.on("SIGUSR2", () => {});

const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 10_000 });
console.log(listener.addr.port);

let kept: TcpConnection[] | undefined = [];

function release(): void {
  console.log(kept!.length);
  if (process.argv[2] === "unref") return listener.unref();
  for (const connection of kept!) connection.close();
  kept = undefined;
}

async function serve(): Promise<void> {
  for await (const connection of listener) {
    connection.unref();
    if (kept?.length === 0) setTimeout(release, 2_000).unref();
    if (kept !== undefined) kept.push(connection);
    else connection.write(new Uint8Array([1])).catch(() => {}).finally(() => connection.close());
  }
}

// This is not awaited, since a top-level await would keep Deno alive.
serve();
