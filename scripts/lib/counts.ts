/** Counts tests that passed, failed and were skipped. */

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export function none(): Counts {
  return { passed: 0, failed: 0, skipped: 0 };
}

export function add(total: Counts, counts: Counts): void {
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
}

export function format({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
