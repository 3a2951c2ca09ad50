/** Every code block of README, docs and docstrings runs, and prints what its comments promise. */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import { capabilities } from "@holdfast/tcp";
import { Pool } from "../../scripts/lib/pool.ts";
import { type Ended, patience, spawnRuntime } from "../contract/support.ts";
import { skip } from "../support/skip.ts";
import { together } from "../support/together.ts";
import { type Block, blocks } from "./blocks.ts";

const runtimes = ["deno", "bun", "node"];
const { runtime } = capabilities();
const folder = fileURLToPath(new URL(`../../.cache/examples/${runtime}`, import.meta.url));
mkdirSync(folder, { recursive: true });

/** Why a block does not run here, or `undefined`. */
function skipped({ info, code }: Block): string | undefined {
  if (info.startsWith("ignore ")) return info.slice("ignore ".length);
  if (info.startsWith("sketch")) return "a sketch of somebody else's API";
  if (runtimes.includes(info) && info !== runtime) return `shows ${info}`;
  if (code.includes("deadPeerTimeout") && capabilities().options.deadPeerTimeout.set === "none") {
    return capabilities().options.deadPeerTimeout.reason;
  }
  return undefined;
}

/** Some runtimes print an object on one line, some on several. */
function flat(output: string): string {
  return ` ${output} `.replaceAll(/,?\s+/g, " ");
}

const all = blocks();

test("docs: there are examples, and each is of a kind that is known", () => {
  assert(all.length > 30, `${all.length} examples`);
  for (const { where, info } of all) {
    assert(
      info === "" || runtimes.includes(info) || /^(ignore|sketch) ./.test(info + " ."),
      `${where}: ${info}`,
    );
  }
});

test("docs: excerpts are what docs/recipes.md has, which tests/recipes runs", () => {
  const recipes = readFileSync(new URL("../../docs/recipes.md", import.meta.url), "utf8");
  const excerpts = all.filter(({ info }) => info === "ignore excerpt of docs/recipes.md");
  assert(excerpts.length > 0);
  for (const { where, code } of excerpts) assert(recipes.includes(code), where);
});

function run({ where, code }: Block): Promise<Ended> {
  const file = `${folder}/${where.replaceAll(/[^\w]+/g, "_")}.ts`;
  writeFileSync(file, `${code}\nexport {};\n`);
  return spawnRuntime(file, [], 6 * patience);
}

// Several run at the same time, since most of them wait for timeouts.
const pool = new Pool(4);
const ended = together(
  all.filter((block) => skipped(block) === undefined),
  (block) => pool.run(() => run(block)),
);

for (const block of all) {
  test(`docs: ${block.where} runs`, skip(skipped(block)), async () => {
    const { code, output } = await ended(block);
    assertEquals(code, 0, output);
    // The lines have to come in this order, with any output between them.
    let rest = flat(output);
    for (const expected of block.output) {
      const at = rest.indexOf(flat(expected));
      assert(at >= 0, `${block.where} does not print ${expected} but:\n${output}`);
      rest = rest.slice(at + flat(expected).length - 1);
    }
  });
}

test("docs: this suite runs on a runtime that it knows", () => {
  assert(runtimes.includes(runtime), process.execPath);
});
