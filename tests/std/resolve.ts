/**
 * For `node --import`: resolves the names that `deno.json` and `tsconfig.json` map for Deno and Bun, since
 * Node has neither an import map nor `paths`.
 */

import { registerHooks } from "node:module";

const files: Record<string, string | undefined> = {
  "@holdfast/tcp": "../../mod.ts",
  "@holdfast/tcp/guard": "../../src/preload.ts",
  "@std/assert": "./assert.ts",
  "@std/net": "./net.ts",
};

registerHooks({
  resolve(specifier, context, nextResolve) {
    const file = files[specifier];
    const url = file === undefined ? specifier : new URL(file, import.meta.url).href;
    return nextResolve(url, context);
  },
});
