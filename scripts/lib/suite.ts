/**
 * Runs test files on a runtime: a process per file, each with a time limit, one after the other
 * (tests of timeouts do not share a core well).
 *
 * @module
 */

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, type TestResult } from "./junit.ts";
import { run, type RunResult } from "./process.ts";
import type { Runtime } from "./runtimes.ts";

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export interface SuiteOptions {
  label: string;
  files: string[];
  cwd: string;
  /** For Deno's command line. */
  denoArgs: string[];
  /** Modules that Node loads first. */
  nodeImports: string[];
  /** Time limit per file in ms. */
  timeout: number;
  env?: Record<string, string>;
}

export async function runSuite(runtime: Runtime, options: SuiteOptions): Promise<Counts> {
  const { label, files } = options;
  const total: Counts = { passed: 0, failed: 0, skipped: 0 };
  const reasons = new Map<string, number>();
  const start = performance.now();
  console.log(`\n${label}`);
  for (const file of files) {
    const { tests, ms, rows } = await runFile(runtime, file, options);
    const counts = count(tests);
    add(total, counts);
    console.log(`  ${counts.failed ? "FAIL" : "ok  "} ${file}  ${format(counts)}  ${seconds(ms)}`);
    for (const row of rows) console.log(`       ${row}`);
    for (const { name, status, detail } of tests) {
      if (status === "failed") console.log(indent(`- ${name}\n${indent(detail, 4)}`, 7));
      else if (status === "skipped") reasons.set(detail, (reasons.get(detail) ?? 0) + 1);
    }
  }
  if (total.passed + total.failed === 0) {
    total.failed++;
    console.log("  FAIL no test ran");
  }
  for (const [reason, times] of reasons) console.log(`  skipped ${times}: ${reason}`);
  console.log(`${label}: ${format(total)} (${seconds(performance.now() - start)})`);
  return total;
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

async function runFile(runtime: Runtime, file: string, options: SuiteOptions) {
  const directory = await mkdtemp(join(tmpdir(), "holdfast-"));
  const report = join(directory, "report.xml");
  try {
    const result = await run(runtime.binary, args(runtime, file, report, options), {
      cwd: options.cwd,
      timeout: options.timeout,
      env: {
        ...options.env,
        NO_COLOR: "1",
        NODE_OPTIONS: runtime.name === "node"
          ? options.nodeImports.map((url) => `--import=${url}`).join(" ")
          : undefined,
      },
    });
    const text = await readFile(report, "utf8").catch(() => "");
    const tests = withReasons(judge(parse(text), result), result.output);
    // Measurements that a test prints for the report.
    const rows = [...result.output.matchAll(/^\[row\] (.*)$/gm)].map(([, row = ""]) => row);
    return { tests, ms: result.ms, rows };
  } finally {
    await rm(directory, { recursive: true });
  }
}

function args(
  { name }: Runtime,
  file: string,
  report: string,
  { denoArgs, timeout }: SuiteOptions,
): string[] {
  switch (name) {
    case "deno":
      return [
        ...["test", "-A", "--no-check", `--preload=${uncaught}`, ...denoArgs],
        ...[`--junit-path=${report}`, file],
      ];
    case "bun":
      // Five seconds per test by default, unlike the other two.
      return [
        ...["test", `--timeout=${timeout}`, "--reporter=junit", `--reporter-outfile=${report}`],
        `./${file}`,
      ];
    case "node":
      return [
        ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
        ...["--test-reporter=junit", `--test-reporter-destination=${report}`],
        file,
      ];
  }
}

const uncaught = new URL("uncaught.ts", import.meta.url).href;

/** A file that crashed, hung or has no test leaves no report, or one that looks fine. */
function judge(tests: TestResult[], { code, output, timedOut, ms }: RunResult): TestResult[] {
  const fail = (name: string): TestResult => ({ name, status: "failed", detail: tail(output) });
  if (timedOut) return [...tests, fail(`stopped after ${seconds(ms)}`)];
  if (tests.length === 0) return [fail(`no test ran, exit code ${code}`)];
  const thrown = /^\[uncaught\] .*$/m.exec(output);
  if (thrown) return [...tests, fail(thrown[0])];
  if (code !== 0 && !tests.some(({ status }) => status === "failed")) {
    return [...tests, fail(`exit code ${code}`)];
  }
  return tests;
}

/** Only Node reports why a test was skipped. tests/support/skip.ts prints it on every runtime. */
function withReasons(tests: TestResult[], output: string): TestResult[] {
  const printed = [...output.matchAll(/^\[skip\] (.*)$/gm)].map(([, reason = ""]) => reason);
  return tests.map((test) => {
    if (test.status !== "skipped") return test;
    const detail = printed.shift() ?? test.detail;
    if (detail) return { ...test, detail };
    return { ...test, status: "failed", detail: "skipped without a reason" };
  });
}

function count(tests: TestResult[]): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { status } of tests) counts[status]++;
  return counts;
}

function tail(output: string): string {
  return output.trim().split("\n").slice(-40).join("\n");
}

function indent(text: string, columns: number): string {
  return text.replace(/^/gm, " ".repeat(columns));
}
