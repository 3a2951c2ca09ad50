/**
 * The package that dnt emits and the one of the `typescript` package differ in nothing but formatting.
 */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { assertEquals } from "@std/assert";
import { skip } from "../support/skip.ts";
import { filesOf, run } from "./support.ts";

const { HOLDFAST_DNT, HOLDFAST_DENO } = process.env;
const noDnt = HOLDFAST_DNT === undefined || HOLDFAST_DENO === undefined
  ? "needs dnt: HOLDFAST_DNT names an import map that has it, see CONTRIBUTING.md"
  : undefined;

test("dnt and typescript build the same files", skip(noDnt), async () => {
  const directory = await mkdtemp(join(tmpdir(), "holdfast-builders-"));
  try {
    const builders = { dnt: ["--no-config", "--import-map", HOLDFAST_DNT!], typescript: [] };
    for (const [name, flags] of Object.entries(builders)) {
      const build = ["scripts/build_npm.ts", "--builder", name, "--out", join(directory, name)];
      await run(HOLDFAST_DENO!, ["run", "-A", ...flags, ...build], process.cwd());
    }
    const files = await filesOf(join(directory, "dnt"));
    assertEquals(files, await filesOf(join(directory, "typescript")));
    for (const file of files) {
      const text = async (name: string) =>
        (await readFile(join(directory, name, file), "utf8")).replace(/\s+/g, " ");
      assertEquals(await text("dnt"), await text("typescript"), file);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});
