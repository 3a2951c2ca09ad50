/**
 * The examples of the README, right after `npm install`, in every supported Node.js.
 */

import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import { execute, installed, nodes, packaged, tools, workshop } from "./support.ts";

test(
  "the README's examples run in every supported Node.js, and print something",
  packaged,
  async () => {
    const { transformSync } = createRequire(`${tools}/`)("esbuild") as {
      transformSync(code: string, options: object): { code: string };
    };
    const readme = await readFile(join(installed, "README.md"), "utf8");
    const examples = [...readme.matchAll(/^```ts(?: node)?\n(.*?)^```$/gms)].map(([, code]) =>
      code!
    );
    assert(examples.length >= 4, `${examples.length} examples`);
    await workshop(async (directory) => {
      for (const [i, code] of examples.entries()) {
        // Only types are removed. Other syntax that an old Node.js does not know must not be in the README.
        const { code: script } = transformSync(code, { loader: "ts", target: "esnext" });
        await writeFile(join(directory, `${i}.mjs`), script);
        for (const each of nodes) {
          const printed = await execute(each, [`${i}.mjs`], directory, { NODE_NO_WARNINGS: "1" });
          assertEquals(printed.code, 0, `${each}\n${code}\n${printed.stderr}`);
          assert(printed.stdout !== "", `${each} prints nothing:\n${code}`);
        }
      }
    });
  },
);
