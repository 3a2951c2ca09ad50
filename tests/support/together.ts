/**
 * Runs what several tests wait for at the same time: all of it starts with the first of these tests, and
 * each test tells the result of its own part.
 */
export function together<Part, Result>(
  parts: readonly Part[],
  run: (part: Part) => Promise<Result>,
): (part: Part) => Promise<Result> {
  let running: Map<Part, Promise<Result>> | undefined;
  return (part) => {
    running ??= new Map(parts.map((part) => {
      const result = run(part);
      // The test that waits for it reports the error.
      result.catch(() => {});
      return [part, result];
    }));
    return running.get(part)!;
  };
}
