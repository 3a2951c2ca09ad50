/** Finds out whether JSR can be reached, since some networks allow the npm registry only. */

/** Why JSR cannot be reached, or `undefined` when it can. */
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

/** The arguments with which Deno finds `@std`. */
export function stdArgs(problem: string | undefined): string[] {
  return problem === undefined ? [] : ["--import-map", "tests/std/import_map.json"];
}
