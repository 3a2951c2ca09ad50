/** Runs the programs of tests/ that measure. */

import { jsrProblem, stdArgs } from "./jsr.ts";
import { must } from "./process.ts";
import { flags, type Runtime } from "./runtimes.ts";
import { nodeResolver } from "./targets.ts";

/** Runs such a program, and returns the JSON that it prints last. */
export async function resultsOf<Result>(
  { name, binary }: Runtime,
  [program, ...args]: [program: string, ...args: string[]],
  env: Record<string, string> = {},
): Promise<Result> {
  const std = name === "deno" ? stdArgs(await jsrProblem()) : [];
  // By a variable, since the program starts others that need it too.
  const resolver = name === "node"
    ? { NODE_OPTIONS: `--import=${nodeResolver} --no-warnings` }
    : {};
  const line = [...flags[name], ...std, program, ...args];
  const output = await must(binary, line, { env: { ...env, ...resolver } });
  return JSON.parse(output.trim().split("\n").at(-1)!);
}
