/** Runs a program to its end or to a time limit, and keeps its output. */

import { spawn } from "node:child_process";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";

export interface RunOptions {
  cwd?: string;
  /** Variables to add to the environment. `undefined` removes one. */
  env?: Record<string, string | undefined>;
  /** Time limit in ms. */
  timeout?: number;
  /** Prints the output as it comes, and keeps it too. */
  show?: boolean;
}

export interface RunResult {
  /** Exit code, or `null` when a signal ended it. */
  code: number | null;
  /** Standard output and standard error, mixed as they came. */
  output: string;
  /** Standard error alone. */
  errors: string;
  timedOut: boolean;
  ms: number;
}

const windows = process.platform === "win32";

/** Ends all child processes at Ctrl-C, which does not reach them, as each has its own process group. */
const running = new Set<number>();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => {
    for (const pid of running) kill(pid);
    process.exit(130);
  });
}

export async function run(
  command: string,
  args: string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const { cwd, env, timeout = 600_000, show = false } = options;
  const start = performance.now();
  const child = spawn(command, args, {
    cwd,
    env: merged(env),
    stdio: ["ignore", "pipe", "pipe"],
    // In its own process group, so that what a hanging test has started can be ended with it.
    detached: !windows,
    // npm and npx are .cmd files on Windows.
    shell: windows && /^np[mx]$/.test(command),
  });
  if (child.pid !== undefined) running.add(child.pid);
  let output = "";
  let errors = "";
  const keep = (chunk: Uint8Array) => {
    const text = new TextDecoder().decode(chunk);
    output += text;
    if (show) process.stdout.write(text);
    return text;
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", (chunk: Uint8Array) => errors += keep(chunk));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    kill(child.pid);
  }, timeout);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => {
        // A grandchild may keep the pipes open. Output that comes later than this is ignored.
        Promise.race([closed(child), sleep(1_000, undefined, { ref: false })])
          .then(() => resolve(code));
      });
    });
    return { code, output, errors, timedOut, ms: performance.now() - start };
  } finally {
    clearTimeout(timer);
    kill(child.pid);
    if (child.pid !== undefined) running.delete(child.pid);
    child.stdout.destroy();
    child.stderr.destroy();
  }
}

/** Runs a program that has to succeed, and returns its output. */
export async function must(
  command: string,
  args: string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, output, timedOut } = await run(command, args, options);
  if (code === 0) return output;
  const how = timedOut ? "ran out of time" : `ended with ${code}`;
  throw new Error(`Cannot go on as '${command} ${args.join(" ")}' ${how}:\n${output.trim()}`);
}

function closed(child: { once(event: "close", listener: () => void): unknown }): Promise<void> {
  return new Promise((resolve) => child.once("close", () => resolve()));
}

function kill(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    if (windows) spawn("taskkill", ["/pid", String(pid), "/t", "/f"], { stdio: "ignore" });
    else process.kill(-pid, "SIGKILL");
  } catch {
    // The process and its group have ended already.
  }
}

function merged(env: Record<string, string | undefined> = {}): Record<string, string> {
  const all: Record<string, string | undefined> = { ...process.env, ...env };
  for (const name of Object.keys(all)) if (all[name] === undefined) delete all[name];
  return all as Record<string, string>;
}
