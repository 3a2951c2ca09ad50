/** Brings the generated parts of docs/ up to date. */

import { writeFile } from "node:fs/promises";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { optionsPage } from "./lib/option_table.ts";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const { file, text, wanted } = await optionsPage();
if (text !== wanted) await writeFile(file, wanted);
console.log(`${file}: ${text === wanted ? "up to date" : "written"}`);
