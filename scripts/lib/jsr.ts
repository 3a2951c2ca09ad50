/**
 * Whether JSR can be reached: some networks let the npm registry through and nothing else.
 *
 * @module
 */

/** `undefined` when it can, else what went wrong. */
export async function jsrProblem(): Promise<string | undefined> {
  try {
    const response = await fetch("https://jsr.io/@std/assert/meta.json", {
      signal: AbortSignal.timeout(5_000),
    });
    await response.body?.cancel();
    return response.ok ? undefined : `status ${response.status}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** What Deno needs on its command line to find `@std`. */
export function stdArgs(problem: string | undefined): string[] {
  return problem === undefined ? [] : ["--import-map", "tests/std/import_map.json"];
}
