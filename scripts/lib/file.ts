/** Runs test files in a process of their own, with a time limit, and evaluates its report. */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import process from "node:process";
import { type Counts, none, seconds } from "./counts.ts";
import { parse, type TestResult } from "./junit.ts";
import { run, type RunResult } from "./process.ts";
import { compileCache } from "./runtimes.ts";
import type { Target } from "./targets.ts";

export interface FileResult {
  tests: TestResult[];
  counts: Counts;
  ms: number;
  /** CPU time of its process and those that it has started, ms; 0 where that cannot be told. */
  cpu: number;
  /** Measurements that a test printed for the report. */
  rows: string[];
  /** The end of its standard error, to which the processes that a test starts write, too. */
  errors: string;
}

/** `through` is a command that starts the runtime, such as `unshare --net`. */
export async function runFiles(
  target: Target,
  files: readonly string[],
  timeout: number,
  through: readonly string[],
): Promise<FileResult> {
  const directory = await mkdtemp(join(tmpdir(), "holdfast-"));
  const report = join(directory, "report.xml");
  try {
    const { binary, through: emulator = [] } = target.runtime;
    const entry = await entryOf(files, target.cwd, directory);
    const times = join(directory, "times");
    const command = [
      ...process.platform === "win32" ? [] : ["sh", "-c", timed, times],
      ...[...through, ...emulator, binary, ...args(target, entry, report, timeout)],
    ];
    const result = await run(command[0]!, command.slice(1), {
      cwd: target.cwd,
      timeout,
      env: { ...target.env, NO_COLOR: "1", ...nodeEnv(target) },
    }).catch((error) => ({
      code: null,
      output: String(error),
      errors: "",
      timedOut: false,
      ms: 0,
    }));
    const text = await readFile(report, "utf8").catch(() => "");
    const tests = withReasons(judge(parse(text), result), result.output);
    const counts = none();
    for (const { status } of tests) counts[status]++;
    const rows = [...result.output.matchAll(/^\[row\] (.*)$/gm)].map(([, row = ""]) => row);
    const cpu = cpuTime(await readFile(times, "utf8").catch(() => ""));
    return { tests, counts, ms: result.ms, cpu, rows, errors: said(result) };
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Writes the CPU time of a command into the file of the first argument. */
const timed = `"$@"; code=$?; times >"$0"; exit $code`;

/** The second line is about children: `0m1.23s 0m0.45s`. */
function cpuTime(times: string): number {
  const [, line = ""] = times.split("\n");
  let ms = 0;
  for (const [, minutes, seconds] of line.matchAll(/(\d+)m([\d.]+)s/g)) {
    ms += 60_000 * Number(minutes) + 1_000 * Number(seconds);
  }
  return ms;
}

/** The file to start: the one, or one that imports several. */
async function entryOf(files: readonly string[], cwd: string, directory: string): Promise<string> {
  if (files.length === 1) return `./${files[0]}`;
  const entry = join(directory, "all_test.mjs");
  // Relative, since other systems by emulators have other names for the root.
  const imports = files.map((file) => relative(directory, resolve(cwd, file)));
  await writeFile(entry, imports.map((path) => `import ${JSON.stringify(path)};\n`).join(""));
  return entry;
}

/** Environment variables for the test, and for programs that it starts. */
function nodeEnv({ runtime, nodeImports = [] }: Target): Record<string, string | undefined> {
  const isNode = runtime.name === "node";
  return {
    NODE_OPTIONS: isNode ? nodeImports.map((url) => `--import=${url}`).join(" ") : undefined,
    ...compileCache(),
    // Node 20 parses these certificates whenever it starts, which takes more CPU time than all the rest of that.
    NODE_EXTRA_CA_CERTS: undefined,
  };
}

function args(
  { runtime: { name, through: emulator }, denoArgs = [] }: Target,
  file: string,
  report: string,
  timeout: number,
): string[] {
  switch (name) {
    case "deno":
      return [
        ...["test", "-A", "--no-check", `--preload=${uncaught}`, ...denoArgs],
        ...[`--junit-path=${report}`, file],
      ];
    case "bun":
      // Bun's default is five seconds for each test. The other two have no limit.
      return [
        ...["test", `--timeout=${timeout}`, "--reporter=junit", `--reporter-outfile=${report}`],
        file,
      ];
    case "node":
      return [
        ...(emulator === undefined ? [`--import=${untracked}`] : []),
        ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
        ...["--test-reporter=junit", `--test-reporter-destination=${report}`],
        file,
      ];
  }
}

// Not under an emulator, whose paths are others.
const untracked = new URL("untracked.mjs", import.meta.url).href;
const uncaught = new URL("uncaught.ts", import.meta.url).href;

/** Finds files that crashed, hung or have no test, whose report is missing or looks fine. */
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

/** What a test and its processes wrote to standard error, for which Deno has places in its output. */
function said({ output, errors }: RunResult): string {
  const places = [...output.matchAll(/^-+ output -+$([^]*?)^-+ output end -+$/gm)];
  return tail(places.length > 0 ? places.map(([, text]) => text).join("") : errors);
}

function tail(output: string): string {
  return output.trim().split("\n").slice(-40).join("\n");
}
