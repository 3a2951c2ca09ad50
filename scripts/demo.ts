/** `deno task demo`: shows the main features on real sockets, in one runtime after the other. */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { run } from "./lib/process.ts";
import { findAll, flags } from "./lib/runtimes.ts";

const act = fileURLToPath(new URL("./demo/act.ts", import.meta.url));

let failed = false;
for (const { name, binary, version } of await findAll()) {
  console.log(`\n── ${name} ${version} ${"─".repeat(60 - name.length - version.length)}`);
  const { code } = await run(binary, [...flags[name], act], { show: true, timeout: 60_000 });
  if (code !== 0) failed = true;
}
console.log(failed ? "\nSomething went wrong above." : "\nThe same in all three.");
process.exitCode = failed ? 1 : 0;
