/**
 * Node before 22.18 does not load .ts files. `node --import` of this file lets it load those that
 * hold plain JavaScript, as scripts/lib/package.ts leaves them. Can go with Node 20.
 *
 * @module
 */

import { register } from "node:module";

const hooks = `
import { readFile } from "node:fs/promises";
export async function load(url, context, nextLoad) {
  if (!url.endsWith(".ts")) return nextLoad(url, context);
  return { format: "module", source: await readFile(new URL(url)), shortCircuit: true };
}`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
