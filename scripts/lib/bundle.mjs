/**
 * Makes one script and one declaration of what a builder emitted: forty files take Node five times
 * as long to load, and users would download the types of internals. Only comments and indentation go:
 * an uncaught error prints a line of the script, and its stack the names of functions. Run by Node:
 *
 *     node bundle.mjs FROM TO TOOLS
 *
 * @module
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";

const [from, to, tools] = process.argv.slice(2);
const require = createRequire(`${tools}/`);
const { rollup } = require("rollup");
const { dts } = require("rollup-plugin-dts");
const { minify } = require("terser");

async function bundled(input, plugins, external) {
  // Functions that call each other across files are fine: nothing runs while they load.
  const onLog = (level, log, handler) => {
    if (log.code !== "CIRCULAR_DEPENDENCY") handler(level, log);
  };
  const bundle = await rollup({ input: `${from}/${input}`, plugins, onLog, external });
  const { output } = await bundle.generate({ format: "es" });
  return output[0].code;
}

/** Without comments. */
async function stripped(script) {
  const { code } = await minify(script, {
    module: true,
    ecma: 2022,
    compress: false,
    mangle: false,
    format: { comments: false, beautify: true, indent_level: 1 },
  });
  return code;
}

mkdirSync(`${to}/esm`, { recursive: true });
writeFileSync(`${to}/esm/mod.js`, await stripped(await bundled("esm/mod.js", [])));
// Shares everything with the other: a guard has to know what is opened there.
const guard = await bundled("esm/src/preload.js", [], /mod\.js$/);
writeFileSync(
  `${to}/esm/guard.js`,
  (await stripped(guard)).replace(/"[^"]*\/mod\.js"/, '"./mod.js"'),
);
mkdirSync(`${to}/types`, { recursive: true });
writeFileSync(`${to}/types/guard.d.ts`, "export {};\n");
const types = await bundled("types/mod.d.ts", [dts()]);
// Examples, which stand last in a comment, are in the docs and on JSR; here they would be a tenth of
// the download. What a module is about helps nobody once all are in one file. Lines of a paragraph are
// one, as editors show them.
const shorter = types
  .replace(/(?:\n +\*)?\n +\* @example(?:(?!\*\/)[^])*?(?=\n +\*\/)/g, "")
  .replace(/\/\*\*(?:(?!\*\/)[^])*?\* @module\s+\*\/\n/g, "")
  .replace(/\n *\* (?=[^@\s*-])/g, " ")
  .replace(/^(?: {4})+/gm, (indent) => indent.slice(indent.length / 4 * 3));
writeFileSync(`${to}/types/mod.d.ts`, shorter);
