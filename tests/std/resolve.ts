/**
 * For `node --import`: resolves the names that `deno.json` and `tsconfig.json` map for Deno and Bun, since
 * Node has neither an import map nor `paths`. Says what a `.ts` file is, too: without a package.json that
 * does, Node strips and compiles each as CommonJS first, and to load this library takes twice the CPU time.
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
    const [path, from] = file === undefined
      ? [specifier, context.parentURL]
      : [file, import.meta.url];
    if (!/^(\.{1,2}\/|file:).*\.ts$/.test(path)) return nextResolve(specifier, context);
    return { url: new URL(path, from).href, format: "module-typescript", shortCircuit: true };
  },
});
