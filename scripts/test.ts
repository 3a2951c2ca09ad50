/**
 * `deno task test`: the same test files on Deno, Bun and Node, then the npm package on every
 * supported version. Needs Deno, npm and nothing else; what is missing comes from npm.
 *
 *     --runtime deno   only this one, and no package
 *     --filter TEXT    only files whose path contains TEXT
 *     --package        only the package
 *     --target TEXT    only the package, where the label contains TEXT, such as "node 20"
 *     --timeout MS     per test file
 *
 * @module
 */

import { glob } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { jsrProblem, stdArgs } from "./lib/jsr.ts";
import { testPackage } from "./lib/package.ts";
import { find, type Runtime } from "./lib/runtimes.ts";
import { add, type Counts, format, runSuite } from "./lib/suite.ts";
import { clients } from "./lib/tools.ts";

const { values } = parseArgs({
  options: {
    runtime: { type: "string" },
    filter: { type: "string", default: "" },
    package: { type: "boolean", default: false },
    target: { type: "string", default: "" },
    timeout: { type: "string", default: "300000" },
  },
});
const names: Runtime["name"][] = ["deno", "bun", "node"];
if (values.runtime !== undefined && !names.some((name) => name === values.runtime)) {
  throw new TypeError(
    `Cannot test as '--runtime' must be one of ${
      names.join(", ")
    }: current value is ${values.runtime}`,
  );
}
process.chdir(fileURLToPath(new URL("..", import.meta.url)));

const problem = await jsrProblem();
console.log(
  problem === undefined
    ? "std: JSR can be reached, Deno uses jsr:@std; Bun and Node use tests/std"
    : `std: JSR cannot be reached (${problem}), all three use tests/std`,
);

const total: Counts = { passed: 0, failed: 0, skipped: 0 };
if (!values.package && !values.target) {
  const files = (await Array.fromAsync(glob("tests/**/*_test.ts")))
    .map((file) => file.replaceAll("\\", "/"))
    // Those need the built package.
    .filter((file) => !file.startsWith("tests/package/") && file.includes(values.filter))
    .sort();
  const env = files.some((file) => file.startsWith("tests/recipes/"))
    ? { HOLDFAST_CLIENTS: await clients() }
    : undefined;
  for (const name of names) {
    if (values.runtime !== undefined && values.runtime !== name) continue;
    const runtime = await find(name);
    add(
      total,
      await runSuite(runtime, {
        label: `${name} ${runtime.version}`,
        files,
        cwd: process.cwd(),
        denoArgs: stdArgs(problem),
        nodeImports: [new URL("../tests/std/resolve.ts", import.meta.url).href],
        timeout: Number(values.timeout),
        env,
      }),
    );
  }
}

if (values.runtime === undefined) {
  try {
    add(total, await testPackage(Number(values.timeout), values.filter, values.target));
  } catch (error) {
    total.failed++;
    console.log(`\nFAIL package: ${error instanceof Error ? error.message : error}`);
  }
}

console.log(`\n${format(total)}`);
process.exit(total.failed === 0 ? 0 : 1);
