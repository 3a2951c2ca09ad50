/**
 * Makes one script and one declaration of what a builder emitted, since Node takes five times as long to load
 * forty files, and users would download the types of internals. Only comments and indentation are removed,
 * so that an uncaught error prints a readable line, and its stack the names of functions. Run by Node:
 *
 *     node bundle.mjs FROM TO TOOLS
 */

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";

const [from, to, tools] = process.argv.slice(2);
const require = createRequire(`${tools}/`);
const { rollup } = require("rollup");
const { dts } = require("rollup-plugin-dts");
const { minify } = require("terser");

async function bundled(input, plugins, external) {
  // Files may import each other in circles, as nothing runs while they load.
  const onLog = (level, log, handler) => {
    if (log.code !== "CIRCULAR_DEPENDENCY") handler(level, log);
  };
  const bundle = await rollup({ input: `${from}/${input}`, plugins, onLog, external });
  const { output } = await bundle.generate({ format: "es" });
  return output[0].code;
}

/** Removes comments. */
async function stripped(script) {
  const { code } = await minify(script, {
    module: true,
    ecma: 2022,
    compress: false,
    mangle: false,
    format: { comments: false, beautify: true, indent_level: 0 },
  });
  return code;
}

mkdirSync(`${to}/esm`, { recursive: true });
writeFileSync(`${to}/esm/mod.js`, await stripped(await bundled("esm/mod.js", [])));
// This entry shares all modules with the other, since a guard has to know what is opened there.
const guard = await bundled("esm/src/preload.js", [], /mod\.js$/);
writeFileSync(
  `${to}/esm/guard.js`,
  (await stripped(guard)).replace(/"[^"]*\/mod\.js"/, '"./mod.js"'),
);
mkdirSync(`${to}/types`, { recursive: true });
writeFileSync(`${to}/types/guard.d.ts`, "export {};\n");
// Removes the comment about itself with which each file begins, as all are in one file.
for (const name of readdirSync(`${from}/types`, { recursive: true, encoding: "utf8" })) {
  if (!name.endsWith(".d.ts")) continue;
  const file = `${from}/types/${name}`;
  writeFileSync(file, readFileSync(file, "utf8").replace(/^\/\*\*(?:(?!\*\/)[^])*\*\/\n/, ""));
}
const types = await bundled("types/mod.d.ts", [dts()]);
// Removes examples, which come last in a comment: they are in the docs and on JSR, and here would be a
// tenth of the download. Joins the lines of a paragraph, as editors show them.
const shorter = types
  .replace(/(?:\n +\*)?\n +\* @example(?:(?!\*\/)[^])*?(?=\n +\*\/)/g, "")
  .replace(/\n *\* (?=[^@\s*-])/g, " ")
  .replace(/^(?: {4})+/gm, (indent) => indent.slice(indent.length / 4 * 3));
writeFileSync(`${to}/types/mod.d.ts`, shorter);
