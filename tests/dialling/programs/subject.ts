/** Runs the cases in the namespace of this side. Prints a line of JSON for each. */

import process from "node:process";
import { cases } from "../cases.ts";
import { patience, within } from "../../contract/support.ts";

const [there] = process.argv.slice(2);
for (const { name, skipped, run } of cases) {
  if (skipped !== undefined) continue;
  let failure: string | undefined;
  try {
    await within(2 * patience, run(there!));
  } catch (error) {
    failure = error instanceof Error ? error.stack ?? error.message : String(error);
  }
  console.log(JSON.stringify({ name, failure }));
}
process.exit(0);
