/** Measures under this runtime and prints it as JSON, for scripts/every_socket.ts. */

import process from "node:process";
import { measureHidden } from "../hidden.ts";

console.log(JSON.stringify(await measureHidden(Number(process.argv[2]))));
process.exit(0);
