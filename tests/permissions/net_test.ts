/** Dialling and listening by system calls respect Deno's permissions. */

import { spawnSync } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { assertEquals, assertMatch } from "@std/assert";
import { connect, listen } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";

const program = fileURLToPath(new URL("dial.ts", import.meta.url));
const listening = fileURLToPath(new URL("listen.ts", import.meta.url));
const scoped = fileURLToPath(new URL("scope.ts", import.meta.url));
const notDeno = "Deno" in globalThis ? undefined : "this runtime has no such permissions";

for (const prepared of ["native", "prepared"]) {
  test(`permissions: a ${prepared} dial to a host that is allowed, and to one that is not`, {
    ...skip(notDeno),
  }, async () => {
    using allowed = await listen({ hostname: "127.0.0.1", port: 0, timeout: 10_000 });
    using denied = await listen({ hostname: "127.0.0.2", port: 0, timeout: 10_000 });
    const to = [allowed, denied].map(({ addr }) => `${addr.hostname}:${addr.port}`);
    const flags = [`--allow-net=${to[0]}`, "--allow-ffi"];
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ["run", "--no-check", "--no-prompt", ...flags, program, prepared, ...to],
      { encoding: "utf8" },
    );
    const [first, second] = stdout.trim().split("\n");
    assertEquals(first, "connected", stderr);
    assertMatch(second!, /^NotCapable Requires net access to "127\.0\.0\.2:\d+"/);
    // Nothing reached the denied host, not even a handshake.
    const late = await denied.accept({ timeout: 100 }).catch((error) => error.name);
    assertEquals(late, "TimeoutError");
    using client = await connect({
      hostname: "127.0.0.2",
      port: denied.addr.port,
      timeout: 10_000,
    });
    assertEquals(client.remoteAddr.hostname, "127.0.0.2");
  });
}

for (const ffi of [[], ["--allow-ffi"]]) {
  test(`permissions: listening on an address that is allowed, and on one that is not${ffi}`, {
    ...skip(notDeno),
  }, () => {
    const results = ["127.0.0.1", "127.0.0.2"].map((hostname) => {
      const flags = ["--allow-net=127.0.0.1:0", ...ffi];
      const { stdout } = spawnSync(
        process.execPath,
        ["run", "--no-check", "--no-prompt", ...flags, listening, hostname],
        { encoding: "utf8" },
      );
      return stdout.trim().split("\n");
    });
    const [allowed, denied] = results;
    // Without FFI there is no `reuseAddress: false`.
    const without = (lines: string[]) => ffi.length > 0 ? lines : lines.toSpliced(1, 1);
    assertEquals(without(allowed!), without(["listening", "listening", "listening"]));
    for (const line of without(denied!)) {
      assertMatch(line, /^NotCapable Requires net access to "127\.0\.0\.2:0"/);
    }
  });
}

test("permissions: the name of an interface needs no other permission", skip(notDeno), () => {
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["run", "--no-check", "--no-prompt", "--allow-net", "--allow-ffi", scoped],
    { encoding: "utf8" },
  );
  assertEquals(stdout.trim().split("\n"), ["SocketError", "SocketError"], stderr);
});
