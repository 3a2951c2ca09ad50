/**
 * The only way to skip a test: with a reason, decided before the test runs.
 *
 *     test("user timeout is set", skip(reasonOrUndefined), () => { ... });
 */

/** The options of a test: skipped when there is a reason. */
export function skip(reason: string | undefined): { skip: string | false } {
  // Deno's and Bun's reports leave the reason out, so scripts/test.ts reads it from the output.
  if (reason !== undefined) console.log(`[skip] ${reason.replaceAll("\n", " ")}`);
  return { skip: reason ?? false };
}
