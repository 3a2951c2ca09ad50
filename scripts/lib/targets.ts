/**
 * Lists the targets that test the sources on every runtime. Those of the package are in package.ts.
 *
 * @module
 */

import { glob, readFile } from "node:fs/promises";
import process from "node:process";
import { stdArgs } from "./jsr.ts";
import { must } from "./process.ts";
import { find, type Runtime } from "./runtimes.ts";
import { clients } from "./tools.ts";

/** Test files, and the runtime that runs them. */
export interface Target {
  label: string;
  runtime: Runtime;
  files: string[];
  cwd: string;
  /** Arguments for Deno's command line. */
  denoArgs?: string[];
  /** Modules that Node imports first. */
  nodeImports?: string[];
  env?: Record<string, string>;
  /** The platform and its emulator, if it is not this machine's. */
  elsewhere?: { platform: string; through: string };
}

/** A target that cannot be run here, and why. */
export interface Skipped {
  label: string;
  reason: string;
}

/** A way to run tests, which they see by its environment variables. */
interface Variant {
  /** Added to the label of the target. */
  name: string;
  env: Record<string, string>;
  /** The files that are run that way. */
  files: RegExp;
}

const variants: readonly Variant[] = [
  { name: "", env: {}, files: /./ },
  {
    name: " over TLS",
    env: { HOLDFAST_TLS: "1" },
    // Left out are: addresses, dialling, options and listeners, which TLS does not change (bind, connect,
    // dial, idle, listen, options, reuse, ...); system calls, segments and turns of the event loop, which
    // it does change (again, crowded, events, turn); sockets of others (any_socket, evict, guard, sockets);
    // and Unix sockets. tls_test.ts has what only TLS has.
    files: new RegExp(
      "tests/contract/(accept|close|end|errors|many_reads|many_writes|memory|random|read_write|" +
        "states|streams|write_error)_test",
    ),
  },
];

/** The files that take longest, in seconds. They start first, and `--quick` leaves them out. */
export const long: Readonly<Record<string, number>> = {
  "tests/dead_peer/dead_peer_test.ts": 32,
  "tests/package/types_test.ts": 27,
  "tests/recipes/hidden_test.ts": 25,
  "tests/recipes/recipes_test.ts": 22,
  "tests/package/package_test.ts": 18,
  "tests/package/loading_test.ts": 18,
  "tests/process/restart_test.ts": 15,
  "tests/dead_peer/options_test.ts": 15,
  "tests/dead_peer/guard_test.ts": 14,
  "tests/docs/examples_test.ts": 13,
  "tests/dead_peer/stopped_test.ts": 11,
};

/** Returns the target once for each way for which it has files. `quick` takes the first way only. */
export function inAllVariants(target: Target, quick: boolean = false): Target[] {
  return variants.slice(0, quick ? 1 : undefined)
    .map(({ name, env, files }) => ({
      ...target,
      label: target.label + name,
      env: { ...target.env, ...env },
      files: target.files.filter((file) => files.test(file)),
    }))
    .filter(({ files }) => files.length > 0);
}

/** Paths of test files below `cwd` that contain `filter`. */
export async function testFiles(pattern: string, filter: string, cwd: string): Promise<string[]> {
  return (await Array.fromAsync(glob(pattern, { cwd })))
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => file.includes(filter))
    .sort();
}

/** Resolves imports for Node, which has neither an import map nor `paths`. */
export const nodeResolver: string = new URL("../../tests/std/resolve.ts", import.meta.url).href;

/** The sources on the named runtimes. `quick` leaves out TLS, and files that take long or need others. */
export async function sourceTargets(
  names: readonly Runtime["name"][],
  { filter, quick, jsrProblem }: {
    filter: string;
    quick: boolean;
    jsrProblem: string | undefined;
  },
): Promise<Target[]> {
  const cwd = process.cwd();
  let files = (await testFiles("tests/**/*_test.ts", filter, cwd))
    // These files need the built package.
    .filter((file) => !file.startsWith("tests/package/"));
  if (quick) {
    const needs = await Promise.all(files.map(needsServersOrNamespaces));
    files = files.filter((file, i) => !needs[i] && long[file] === undefined);
  }
  if (files.length === 0) return [];
  const recipes = files.some((file) => /^tests\/(recipes|dialling)\/|fake_timers/.test(file));
  const env: Record<string, string> = recipes ? { HOLDFAST_CLIENTS: await clients() } : {};
  const denoArgs = stdArgs(jsrProblem);
  // Fetched now, since Deno cannot fetch anything in a network namespace.
  if (jsrProblem === undefined && names.includes("deno")) {
    await must(process.execPath, ["cache", ...files]);
  }
  const runtimes = await Promise.all(names.map((name) => find(name)));
  return runtimes.flatMap((runtime) =>
    inAllVariants({
      label: `${runtime.name} ${runtime.version}`,
      runtime,
      files,
      cwd,
      denoArgs,
      nodeImports: [nodeResolver],
      env,
    }, quick)
  );
}

async function needsServersOrNamespaces(file: string): Promise<boolean> {
  return /from "[^"]*\/(servers|namespaces)\.ts"/.test(await readFile(file, "utf8"));
}
