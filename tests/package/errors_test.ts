/**
 * What an uncaught error prints.
 */

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { assert, assertLess, assertMatch } from "@std/assert";
import { execute, nodes, packaged, workshop } from "./support.ts";

const failures: Record<string, string> = {
  connect: `
import { connect } from "@holdfast/tcp";
async function dial() {
  await connect({ hostname: "127.0.0.1", port: 1, timeout: 5_000 });
}
await dial();`,
  timeout: `
import { connect, listen } from "@holdfast/tcp";
const listener = await listen({ hostname: "127.0.0.1", port: 0, timeout: 5_000 });
const socket = await connect({ port: listener.addr.port, timeout: 5_000 });
async function dial() {
  await socket.read(new Uint8Array(1), { timeout: 20 });
}
await dial();`,
};

for (const [name, program] of Object.entries(failures)) {
  test(`an uncaught ${name} error is short and names the caller's line`, packaged, async () => {
    await workshop(async (directory) => {
      await writeFile(join(directory, "app.mjs"), program);
      const line = program.split("\n").findIndex((text) => text.startsWith("  await ")) + 1;
      for (const each of nodes) {
        const { stderr } = await execute(each, ["app.mjs"], directory);
        assertMatch(stderr, /^(SocketError|TimeoutError): Cannot /m);
        assertLess(stderr.length, 2_000, stderr);
        assertMatch(stderr, new RegExp(`at async dial .*app\\.mjs:${line}:`));
        for (const [text] of stderr.matchAll(/^.+$/gm)) assert(text.length < 300, text);
        // The last function of this library, by the name that it has in the source.
        assertMatch(stderr, /^ {4}at (async )?(connect|rejectTraced) /m);
      }
    });
  });
}
