/** `deno task docs`: brings the table of docs/options.md up to date. */

import process from "node:process";
import { fileURLToPath } from "node:url";
import { fillOptionsPage } from "./lib/option_table.ts";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
await fillOptionsPage();
