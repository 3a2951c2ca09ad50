/**
 * `deno task check`: format, lint, types by two checkers, docs, publishing, and the project's own rules.
 * Runs all of them, and then prints which failed.
 */

import { rm } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { jsrProblem, stdArgs } from "./lib/jsr.ts";
import { run } from "./lib/process.ts";
import { optionsPageIsCurrent } from "./lib/option_table.ts";
import * as rules from "./lib/rules.ts";
import { versions } from "./lib/runtimes.ts";
import { tools } from "./lib/tools.ts";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const std = stdArgs(await jsrProblem());
const types = ".cache/types";
const failed: string[] = [];

async function step(name: string, problems: Promise<string[]>): Promise<void> {
  const found = await problems;
  console.log(`${found.length ? "FAIL" : "ok  "} ${name}`);
  for (const problem of found) console.log(problem.replace(/^/gm, "       "));
  if (found.length) failed.push(name);
}

const deno = (...args: string[]) => program(process.execPath, ...args);

async function program(file: string, ...args: string[]): Promise<string[]> {
  const { code, output } = await run(file, args, { env: { NO_COLOR: "1" } });
  if (code === 0) return [];
  const lines = output.trim().split("\n").filter((line) => !/^Check /.test(line));
  const more = lines.length - 60;
  return [...lines.slice(0, 60), ...more > 0 ? [`(${more} lines more)`] : []];
}

await step("deno fmt", deno("fmt", "--check"));
await step("deno lint", deno("lint"));
await step("deno check", deno("check", ...std, "mod.ts", "src", "tests", "scripts"));
await rm(types, { recursive: true, force: true });
await step(
  `typescript ${versions.tools.typescript}`,
  // Emits declarations, which the rule about `any` needs.
  program(
    "node",
    ...[`${await tools()}/node_modules/typescript/bin/tsc`, "-p", "tsconfig.json"],
    ...["--noEmit", "false", "--emitDeclarationOnly", "--outDir", types],
  ),
);
await step("no 'any' in the types", rules.noAnyInTypes(types));
await step("deno doc --lint", deno("doc", "--lint", "mod.ts"));
const { output: docs } = await run(process.execPath, ["doc", "--json", "mod.ts"]);
await step("examples", Promise.resolve(rules.examples(docs.slice(docs.indexOf("{")))));
await step("deno doc --html", deno("doc", "--html", "--output=.cache/doc", "mod.ts"));
await step("deno publish", deno("publish", "--dry-run", "--allow-dirty"));
await step("no imports of runtime modules", rules.noRuntimeImports());
await step("imports go downwards, without circles", rules.imports());
await step("one place detects the runtime", rules.oneRuntimeDetection());
await step("tests skip with a reason", rules.plainTests());
await step("docs/options.md is current", optionsPageIsCurrent());
await step("pinned Deno in docs", rules.pinnedDeno());

console.log(failed.length ? `\nfailed: ${failed.join(", ")}` : "\nall checks passed");
process.exit(failed.length ? 1 : 0);
