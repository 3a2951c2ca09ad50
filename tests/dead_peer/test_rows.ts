/** Makes a test of each row. */

import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import { cannotSet } from "../contract/support.ts";
import { skip } from "../support/skip.ts";
import { measure, type Result, type Set } from "./measure.ts";
import { noNamespaces } from "./namespaces.ts";
import type { Plan } from "./row.ts";

const reason = cannotSet("deadPeerTimeout") ?? noNamespaces();

/** All rows of the set run at once, at the first test. */
export function testRows(title: string, plans: Plan[], set: Set): void {
  let measured: Promise<Result[]> | undefined;
  for (const { name } of plans) {
    test(`${title}: ${name}`, skip(reason), async () => {
      const results = await (measured ??= measure(set));
      const result = results.find((result) => result.name === name)!;
      const { expected, outcome, accepted, ms, min, max, failure } = result;
      const what = failure ?? outcome;
      console.log(`[row] ${name} | ${expected} | ${(ms / 1_000).toFixed(2)} s | ${what}`);
      assertEquals(failure, undefined);
      assert(accepted.includes(outcome), `${outcome} instead of ${accepted.join(" or ")}`);
      assert(ms >= min && ms <= max, `${ms} ms is not within ${min} and ${max} ms`);
    });
  }
}
