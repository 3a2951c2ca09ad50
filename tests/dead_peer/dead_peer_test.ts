import { test } from "node:test";
import { assert, assertEquals } from "@std/assert";
import { capabilities } from "@holdfast/tcp";
import { skip } from "../support/skip.ts";
import { diagnosisRows } from "./diagnosis_rows.ts";
import { measure, type Result } from "./measure.ts";
import { noNamespaces } from "./namespaces.ts";
import { outageRows } from "./outage_rows.ts";
import { rows } from "./rows.ts";
import { tlsRows } from "./tls_rows.ts";

const reason = capabilities().options.deadPeerTimeout.reason ?? noNamespaces();
let measured: Promise<Result[]> | undefined;

for (const { name } of [...rows, ...outageRows, ...diagnosisRows, ...tlsRows]) {
  test(`dead peer: ${name}`, skip(reason), async () => {
    // All rows run at once, at the first test.
    const results = await (measured ??= measure());
    const result = results.find((result) => result.name === name)!;
    const { expected, outcome, accepted, ms, min, max, failure } = result;
    const what = failure ?? outcome;
    console.log(`[row] ${name} | ${expected} | ${(ms / 1_000).toFixed(2)} s | ${what}`);
    assertEquals(failure, undefined);
    assert(accepted.includes(outcome), `${outcome} instead of ${accepted.join(" or ")}`);
    assert(ms >= min && ms <= max, `${ms} ms is not within ${min} and ${max} ms`);
  });
}
