/**
 * Runs in a network namespace of its own: all rows at once, each with its own peer address. Prints a
 * line of JSON for each row.
 */

import process from "node:process";
import { SocketError, TimeoutError } from "@holdfast/tcp";
import { within } from "../../contract/support.ts";
import { busyRows } from "../busy_rows.ts";
import { comparison } from "../comparison.ts";
import { diagnosisRows } from "../diagnosis_rows.ts";
import { guardRows } from "../guard_rows.ts";
import type { Result } from "../measure.ts";
import { outageRows } from "../outage_rows.ts";
import { type Plan, Row } from "../row.ts";
import { rows } from "../rows.ts";
import { tlsRows } from "../tls_rows.ts";

function outcomeOf(error: unknown): string {
  if (error instanceof SocketError || error instanceof TimeoutError) {
    return `${error.name} ${error.code}`;
  }
  return String(error);
}

async function run({ run, ...plan }: Plan, number: number): Promise<Result> {
  const row = new Row(number);
  try {
    // Leaves time for what happens before the peer vanishes.
    const { ms, error } = await within(Math.min(plan.max, 30_000) + 30_000, run(row));
    const diagnosis = error instanceof TimeoutError ? error.diagnosis : undefined;
    const min = plan.min - row.uncertain;
    return { ...plan, min, outcome: outcomeOf(error), ms, diagnosis };
  } catch (error) {
    return { ...plan, outcome: "", ms: row.elapsed, failure: String(error) };
  }
}

/** The longest delay of the event loop, since the delay of a busy machine is not the library's. */
let late = 0;
let expected = performance.now() + 20;
setInterval(() => {
  late = Math.max(late, performance.now() - expected);
  expected = performance.now() + 20;
}, 20);

const sets: Record<string, Plan[]> = {
  rows: [...rows, ...outageRows, ...diagnosisRows, ...tlsRows],
  compare: comparison,
  guard: guardRows,
  busy: busyRows,
};
const plans = sets[process.argv[3]!]!;
await Promise.all(plans.map(async (plan, index) => {
  const result = await run(plan, index + 1);
  // JSON has no Infinity.
  const max = Math.min(result.max + late, 1e9);
  console.log(JSON.stringify({ ...result, min: result.min - late, max }));
}));
process.exit(0);
