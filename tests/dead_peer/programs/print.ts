/** Runs the rows under this runtime and prints them as JSON, for scripts/dead_peers.ts. */

import process from "node:process";
import { measure } from "../measure.ts";

console.log(JSON.stringify(await measure(process.argv[2] === "compare" ? "compare" : "rows")));
process.exit(0);
