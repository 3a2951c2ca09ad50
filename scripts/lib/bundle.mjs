/**
 * Makes one script and one declaration of what a builder emitted: forty files take Node five times
 * as long to load, and users would download the types of internals. Run by Node:
 *
 *     node bundle.mjs FROM TO TOOLS
 *
 * @module
 */

import { createRequire } from "node:module";
import process from "node:process";

const [from, to, tools] = process.argv.slice(2);
const require = createRequire(`${tools}/`);
const { build } = require("esbuild");
const { rollup } = require("rollup");
const { dts } = require("rollup-plugin-dts");

await build({
  entryPoints: [`${from}/esm/mod.js`],
  outfile: `${to}/esm/mod.js`,
  bundle: true,
  minify: true,
  legalComments: "none",
  format: "esm",
  platform: "node",
  target: "es2022",
  logLevel: "warning",
});

const declarations = await rollup({ input: `${from}/types/mod.d.ts`, plugins: [dts()] });
await declarations.write({ file: `${to}/types/mod.d.ts`, format: "es" });
