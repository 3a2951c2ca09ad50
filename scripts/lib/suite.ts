/**
 * Runs the files of all targets, several processes at the same time, since most of them wait for timeouts.
 * Short files share a process. Files that measure time run alone, after the others.
 */

import { add, type Counts, format, none, seconds } from "./counts.ts";
import { runFiles } from "./file.ts";
import { ownNetwork } from "./isolation.ts";
import { Pool } from "./pool.ts";
import { Progress } from "./progress.ts";
import { long, processes, type Skipped, type Target } from "./targets.ts";

export interface SuiteOptions {
  /** How many files run at the same time. */
  jobs: number;
  /** Time limit per file in ms. */
  timeout: number;
}

/** These files measure time, so they run alone. */
const alone = ["tests/unit/time/accuracy_test.ts"];

/** These wait for events that come a few seconds later, and take little CPU time: they get it first. */
const prompt = /^tests\/(dead_peer|dialling)\/|hidden_test/;

/**
 * So many files that failed beside others run once more, alone, and that counts: on a busy machine a
 * limit may ring that had nothing to do with the code. Both results are printed. More failures than
 * this are no accident.
 */
const mostSecondRuns = 6;

/** A target's results so far. */
export interface Summary {
  label: string;
  /** The targets, if they can be run here. */
  target: Target | undefined;
  counts: Counts;
  /** The sum of the times of its files. */
  ms: number;
  /** How many tests were skipped for each reason. */
  reasons: Map<string, number>;
}

/** Runs each target as soon as it is ready, since some have to be built first. */
export async function runTargets(
  coming: readonly Promise<(Target | Skipped)[]>[],
  { jobs, timeout }: SuiteOptions,
): Promise<{ total: Counts; summaries: Summary[] }> {
  const network = await ownNetwork();
  const room = network.length > 0 ? "a network of its own each" : "one network for all";
  console.log(`test files: ${jobs} at the same time, ${room}\n`);
  const progress = new Progress();
  const pool = new Pool(jobs);
  const summaries: Summary[] = [];
  const last: (() => Promise<void>)[] = [];
  const second: { summary: Summary; first: Counts; run: () => Promise<void> }[] = [];
  const failures = none();
  const dear: { name: string; cpu: number }[] = [];

  const runAll = async (target: Target | Skipped) => {
    const { label } = target;
    const missing = "reason" in target;
    const summary: Summary = {
      label,
      target: missing ? undefined : target,
      counts: none(),
      ms: 0,
      reasons: new Map(),
    };
    summaries.push(summary);
    if (missing) {
      summary.counts.skipped++;
      summary.reasons.set(target.reason, 1);
      return;
    }
    const one = (files: readonly string[], again: boolean = false): Promise<void> => {
      const name = files.length === 1 ? files[0] : `${files[0]} and ${files.length - 1} more`;
      return progress.during(`${label} ${name}`, async () => {
        const first = network.length > 0 && files.some((file) => prompt.test(file));
        const through = first ? ["nice", "-n", "-10", ...network] : network;
        const result = await runFiles(target, files, timeout, through);
        const failed = result.counts.failed > 0;
        if (failed && !again) {
          second.push({
            summary,
            first: result.counts,
            run: async () => {
              for (const file of files) await one([file], true);
            },
          });
        } else add(summary.counts, result.counts);
        summary.ms += result.ms;
        dear.push({ name: `${label} ${name}`, cpu: result.cpu });
        for (const { status, detail } of result.tests) {
          if (status !== "skipped") continue;
          summary.reasons.set(detail, (summary.reasons.get(detail) ?? 0) + 1);
        }
        const { counts, ms } = result;
        const ok = failed ? "FAIL" : "ok  ";
        progress.print([
          `  ${ok} ${label}  ${name}  ${format(counts)}  ${seconds(ms)} (CPU ${
            seconds(result.cpu)
          })${again ? "  (alone)" : ""}`,
          ...result.rows.map((row) => `       ${row}`),
          ...result.tests.filter(({ status }) => status === "failed")
            .map(({ name, detail }) => indent(`- ${name}\n${indent(detail, 4)}`, 7)),
          // Bun writes its whole report there, and so repeats some lines.
          ...failed && result.errors !== ""
            ? [indent(`standard error:\n${indent(result.errors, 4)}`, 7)]
            : [],
        ].join("\n"));
      });
    };
    const together = target.files.filter((file) => !alone.includes(file));
    last.push(
      ...target.files.filter((file) => alone.includes(file)).map((file) => () => one([file])),
    );
    // An emulator takes a multiple of the time.
    const factor = target.elsewhere === undefined ? 1 : 4;
    // Tests of the package have names of their own.
    const weight = (file: string) => factor * (long[file.replace(/\.mjs$/, ".ts")] ?? 1);
    await Promise.all(
      processes(together).map((files) =>
        pool.run(() => one(files), files.reduce((sum, file) => sum + weight(file), 0))
      ),
    );
  };

  await Promise.all(coming.map(async (targets) => {
    const built = await targets.catch((error: unknown) => {
      failures.failed++;
      progress.print(`  FAIL ${error instanceof Error ? error.message : error}`);
      return [];
    });
    await Promise.all(built.map(runAll));
  }));
  for (const run of last) await run();
  if (second.length > mostSecondRuns) {
    for (const { summary, first } of second) add(summary.counts, first);
  } else {
    for (const { run } of second) await run();
    if (second.length > 0) {
      progress.print(`  files that failed once and ran again: ${second.length}`);
    }
  }
  progress.close();
  printDearest(dear);
  return { total: summarize(summaries, failures), summaries };
}

/** Says where the CPU time goes, as the whole suite takes half of it on two processors. */
function printDearest(all: { name: string; cpu: number }[]): void {
  const total = all.reduce((sum, { cpu }) => sum + cpu, 0);
  console.log(`\nCPU time of all test files: ${seconds(total)}; most have`);
  for (const { name, cpu } of all.sort((a, b) => b.cpu - a.cpu).slice(0, 10)) {
    console.log(`  ${seconds(cpu)}  ${name}`);
  }
}

function summarize(summaries: readonly Summary[], total: Counts): Counts {
  for (const { label, counts, ms, reasons } of summaries) {
    console.log(`\n${label}: ${format(counts)} (${seconds(ms)} of test files)`);
    for (const [reason, times] of reasons) console.log(`  skipped ${times}: ${reason}`);
    add(total, counts);
  }
  if (total.passed + total.failed === 0) {
    total.failed++;
    console.log("\nFAIL no test ran");
  }
  return total;
}

function indent(text: string, columns: number): string {
  return text.replace(/^/gm, " ".repeat(columns));
}
