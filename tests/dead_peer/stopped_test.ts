import process from "node:process";
import { test } from "node:test";
import { assertEquals } from "@std/assert";
import { listen } from "@holdfast/tcp";
import { cannotSet, patience, sleep, startRuntime, testFile, within } from "../contract/support.ts";
import { skip } from "../support/skip.ts";

test(
  "deadPeerTimeout: a program that is stopped for 5 T is alive, and heard at once",
  skip(cannotSet("deadPeerTimeout")),
  async () => {
    const deadPeerTimeout = 2_000;
    using listener = await listen({
      hostname: "127.0.0.1",
      port: 0,
      timeout: null,
      deadPeerTimeout,
    });
    const peer = startRuntime(testFile("../dead_peer/programs/stopped.ts"), [
      String(listener.addr.port),
    ]);
    // Signals go to the process id, since Deno's `child.kill` sends no second signal, which would leave
    // the peer stopped (https://github.com/denoland/deno/blob/v2.9.6/ext/node/polyfills/internal/child_process.ts).
    const signal = (name: "SIGSTOP" | "SIGCONT" | "SIGKILL") => process.kill(peer.pid!, name);
    try {
      using idle = await listener.accept();
      using full = await listener.accept();
      const writing = full.write(new Uint8Array(16_000_000));
      writing.catch(() => {});
      const reads = [idle, full].map((socket) => socket.read(new Uint8Array(64)));
      await sleep(500);
      signal("SIGSTOP");
      await sleep(5 * deadPeerTimeout);
      signal("SIGCONT");
      assertEquals(await within(patience, Promise.all(reads)), [5, 5]);
    } finally {
      signal("SIGKILL");
    }
  },
);
