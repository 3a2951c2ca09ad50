/** Runs all rows under this runtime and prints them as JSON, for scripts/dead_peers.ts. */

import { measure } from "../measure.ts";

console.log(JSON.stringify(await measure()));
