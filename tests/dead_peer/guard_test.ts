import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import { capabilities } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { guardRows } from "./guard_rows.ts";
import { measure, type Result } from "./measure.ts";
import { noNamespaces } from "./namespaces.ts";

const reason = capabilities().options.deadPeerTimeout.reason ?? noNamespaces();
let measured: Promise<Result[]> | undefined;

for (const { name } of guardRows) {
  test(`guarded: ${name}`, skip(reason), async () => {
    // All rows run at once, at the first test.
    const results = await (measured ??= measure("guard"));
    const result = results.find((result) => result.name === name)!;
    const { expected, outcome, accepted, ms, min, max, failure } = result;
    console.log(
      `[row] ${name} | ${expected} | ${(ms / 1_000).toFixed(2)} s | ${failure ?? outcome}`,
    );
    assertEquals(failure, undefined);
    assert(accepted.includes(outcome), `${outcome} instead of ${accepted.join(" or ")}`);
    assert(ms >= min && ms <= max, `${ms} ms is not within ${min} and ${max} ms`);
  });
}
