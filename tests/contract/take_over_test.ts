/** A descriptor that the runtime fails to take over is closed. strace makes its `listen(2)` fail. */

import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { assertMatch } from "@std/assert";
import { capabilities } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { spawnRuntime, testFile } from "./support.ts";

const traced = ["strace", "-f", "-o", "/dev/null", "-e", "trace=listen"];
const { reuseAddress } = capabilities().options;
const why = reuseAddress.set === "none"
  ? `reuseAddress: ${reuseAddress.reason}`
  : spawnSync("strace", [...traced.slice(1), "true"]).status !== 0
  ? "strace is not installed, or may not trace"
  : undefined;

test("listen: a descriptor that the runtime fails to take over is closed", skip(why), async () => {
  // The first call is ours, and the second one the runtime's, if it makes one. Deno makes none, so that
  // there every second of ours fails.
  const through = [...traced, "-e", "inject=listen:error=EADDRINUSE:when=2+2"];
  const program = testFile("programs/take_over.ts");
  const { code, output } = await spawnRuntime(program, [], 60_000, { through });
  assertMatch(`${code}: ${output.trim()}`, /^0: .*EADDRINUSE.* 0$/);
});
