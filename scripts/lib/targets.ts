/**
 * Lists the targets that test the sources on every runtime. Those of the package are in package.ts.
 */

import { glob, readFile } from "node:fs/promises";
import process from "node:process";
import { stdArgs } from "./jsr.ts";
import { must, run } from "./process.ts";
import { compileCache, find, type Runtime } from "./runtimes.ts";
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

const contract = (names: string): RegExp => new RegExp(`tests/contract/(${names})_test`);

/** Files whose tests use both ends of a connection and nothing of the kernel's. */
const bytes = "deadline|many_reads|many_writes|memory|random|read_write|streams";

// Left out over TLS are files about what TLS does not change: options and addresses (address_reuse,
// bad_input, bind, capabilities, names, options, reuse), dialling (connect, connector, dial), listeners
// (drain, listen, listen_fds, out_of_descriptors), the process (cluster, copies, exit, preload), and
// limits (fake_timers, idle); files that count segments or turns of the event loop (events, turn); sockets
// of others (any_socket, evict, guard, sockets); smoke; unix, which has rows over TLS; and tls, which has
// what only TLS has. In states, "write timed out" is left out, since the kernel may have room for a byte
// where no record fits, and so are wrapped sockets, since runtimes do not tell how their stream has ended.
const variants: readonly Variant[] = [
  { name: "", env: {}, files: /./ },
  {
    name: " over TLS",
    env: { HOLDFAST_TLS: "ours" },
    files: contract(`${bytes}|accept|close|end|errors|states|write_error`),
  },
];

// Left out are files that look at addresses or states of the kernel, since a process is between the two
// ends. Tests about what the peer's kernel has acknowledged are skipped for the same reason.
const openssl: readonly Variant[] = ["server", "client"].map((role) => ({
  name: ` with OpenSSL's ${role}`,
  env: { HOLDFAST_TLS: `OpenSSL's ${role}` },
  files: contract(`${bytes}|close|end`),
}));

/** How long the longest files take on a machine that is not busy, in seconds. They start first. */
export const long: Readonly<Record<string, number>> = {
  "tests/dead_peer/dead_peer_test.ts": 34,
  "tests/package/types_test.ts": 27,
  "tests/recipes/hidden_test.ts": 26,
  "tests/contract/guard_test.ts": 20,
  "tests/contract/states_test.ts": 23,
  "tests/dialling/dialling_test.ts": 22,
  "tests/recipes/recipes_test.ts": 22,
  "tests/contract/end_test.ts": 12,
  "tests/package/package_test.ts": 18,
  "tests/package/loading_test.ts": 18,
  "tests/process/restart_test.ts": 17,
  "tests/dead_peer/options_test.ts": 16,
  "tests/dead_peer/guard_test.ts": 15,
  "tests/docs/examples_test.ts": 13,
  "tests/contract/connect_test.ts": 12,
  "tests/contract/drain_test.ts": 12,
  "tests/dead_peer/stopped_test.ts": 12,
  "tests/contract/exit_test.ts": 13,
  "tests/contract/fake_timers_test.ts": 11,
  "tests/dead_peer/busy_test.ts": 10,
  "tests/contract/idle_test.ts": 10,
  "tests/contract/read_write_test.ts": 10,
  "tests/tls/foreign_test.ts": 10,
  "tests/dead_peer/diagnosis_test.ts": 7,
  "tests/contract/out_of_descriptors_test.ts": 7,
  "tests/contract/preload_test.ts": 7,
  "tests/any_socket/wrap_test.ts": 6,
  "tests/contract/any_socket_test.ts": 5,
  "tests/contract/random_test.ts": 5,
  "tests/contract/tls_test.ts": 5,
  "tests/contract/close_test.ts": 4,
  "tests/contract/dial_test.ts": 4,
  "tests/contract/options_test.ts": 4,
  "tests/contract/sockets_test.ts": 4,
  "tests/contract/streams_test.ts": 4,
};

/**
 * Files that share a process with others of their target, since to start one, and to compile this library and
 * the tests once more, takes as much CPU time as most of them. None of these groups takes much longer than
 * the longest single file. A file of its own is what lists or guards every socket of the process, counts
 * turns, or replaces what others use.
 */
const sharing: readonly RegExp[] = [
  /^tests\/unit\/(?!time\/)/,
  contract(
    "accept|address_reuse|bad_input|bind|capabilities|connector|deadline|errors|events|listen|names|reuse|" +
      "smoke|take_over|unix|write_error",
  ),
  contract("connect|dial|options|tls"),
  contract("drain|idle"),
  contract("close|end"),
  contract("many_reads|many_writes|memory|random|read_write|streams"),
  contract("cluster|exit|listen_fds|out_of_descriptors|preload"),
];

/** Returns the files that are to run in one process, for each process. */
export function processes(files: readonly string[]): string[][] {
  const shared = sharing.map((pattern) => files.filter((file) => pattern.test(file)));
  const single = files.filter((file) => !shared.some((group) => group.includes(file)));
  return [...shared.filter(({ length }) => length > 0), ...single.map((file) => [file])];
}

/** `--quick` leaves out files that take longer, in seconds. */
const tooLong = 12;

/**
 * Returns the target once for each way for which it has files: the first way only, those that every target
 * has, or all.
 */
export function inAllVariants(
  target: Target,
  which: "first" | "usual" | "all" = "usual",
): Target[] {
  const usual = which === "first" ? variants.slice(0, 1) : variants;
  return [...usual, ...which === "all" ? openssl : []]
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
    files = files.filter((file, i) => !needs[i] && (long[file] ?? 0) <= tooLong);
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
  // Otherwise each of the processes that start first compiles this library.
  const node = runtimes.find(({ name }) => name === "node");
  if (node !== undefined) {
    const program = ["--import", nodeResolver, "--import", "./tests/contract/support.ts"];
    await must(node.binary, [...program, "--eval", "0"], { env: compileCache() });
  }
  const python = await run("python3", ["-c", "import ssl"]).catch(() => ({ code: 1 }));
  if (python.code !== 0) console.log("note: nothing is run with OpenSSL, which needs python3");
  return runtimes.flatMap((runtime) =>
    inAllVariants({
      label: `${runtime.name} ${runtime.version}`,
      runtime,
      files,
      cwd,
      denoArgs,
      nodeImports: [nodeResolver],
      env,
    }, quick ? "first" : python.code === 0 ? "all" : "usual")
  );
}

async function needsServersOrNamespaces(file: string): Promise<boolean> {
  return /from "[^"]*\/(servers|namespaces)\.ts"/.test(await readFile(file, "utf8"));
}
