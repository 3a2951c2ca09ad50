/**
 * `deno task test`: runs the same test files on Deno, Bun and Node, and the npm package on every supported
 * version, side by side. Needs only Deno and npm. Everything else is installed from npm.
 *
 *     --quick          only the sources, not over TLS, and no file that takes long or needs servers or
 *                      namespaces
 *     --runtime deno   only the sources on this runtime
 *     --filter TEXT    only files whose path contains TEXT
 *     --package        only the package
 *     --target TEXT    only the package, where the label contains TEXT, such as "node 20"
 *     --jobs N         how many files run at the same time; 1 is one after the other
 *     --timeout MS     per test file
 *     --record         puts what ran into docs/platforms.md
 */

import { availableParallelism } from "node:os";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { format, seconds } from "./lib/counts.ts";
import { jsrProblem } from "./lib/jsr.ts";
import { packageTargets } from "./lib/package.ts";
import { record } from "./lib/platforms.ts";
import { names } from "./lib/runtimes.ts";
import { runTargets } from "./lib/suite.ts";
import { type Skipped, sourceTargets, type Target } from "./lib/targets.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    runtime: { type: "string" },
    filter: { type: "string", default: "" },
    package: { type: "boolean", default: false },
    target: { type: "string", default: "" },
    jobs: { type: "string" },
    timeout: { type: "string", default: "300000" },
    record: { type: "boolean", default: false },
  },
});
const chosen = names.filter((name) => values.runtime === undefined || values.runtime === name);
if (chosen.length === 0) {
  throw new TypeError(
    `Cannot test as '--runtime' must be one of ${
      names.join(", ")
    }: current value is ${values.runtime}`,
  );
}
// Files spend nine tenths of their time waiting, most of it for timeouts.
const jobs = Number(values.jobs ?? Math.min(32, 9 * availableParallelism()));
if (!Number.isInteger(jobs) || jobs < 1) {
  throw new RangeError(
    `Cannot test as '--jobs' must be 1 or more: current value is ${values.jobs}`,
  );
}
if (values.record && (values.filter !== "" || values.quick)) {
  throw new TypeError("Cannot test as '--record' must be without '--filter' and '--quick'");
}
process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const start = performance.now();

const problem = await jsrProblem();
console.log(
  problem === undefined
    ? "std: JSR can be reached, Deno uses jsr:@std; Bun and Node use tests/std"
    : `std: JSR cannot be reached (${problem}), all three use tests/std`,
);

const { filter, quick, target } = values;
const coming: Promise<(Target | Skipped)[]>[] = [];
const onlyPackage = values.package || target !== "";
if (!onlyPackage) coming.push(sourceTargets(chosen, { filter, quick, jsrProblem: problem }));
let remove = () => Promise.resolve();
if (onlyPackage || values.runtime === undefined && !quick) {
  const built = packageTargets(filter, target);
  remove = () => built.then(({ remove }) => remove(), () => {});
  coming.push(built.then(({ targets }) => targets));
}
const { total, summaries } = await runTargets(coming, { jobs, timeout: Number(values.timeout) });
await remove();
if (values.record) await record(summaries, !onlyPackage && values.runtime === undefined);

console.log(`\nall in ${seconds(performance.now() - start)}`);
console.log(format(total));
process.exit(total.failed === 0 ? 0 : 1);
