/** Builds the programs in other languages, where their compilers are installed. */

import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { run } from "../../lib/process.ts";

const folder = "scripts/bench/languages";
const manifest = ["--manifest-path", `${folder}/tokio/Cargo.toml`];

/** Files of the programs. */
export type Languages = Record<"Go" | "tokio", string>;

/** The programs that could be built. Prints why another could not. */
export async function buildLanguages(): Promise<Partial<Languages>> {
  const out = resolve(".cache/languages");
  await mkdir(out, { recursive: true });
  const builds = {
    Go: { command: ["go", "build", "-o", `${out}/go`, `${folder}/net.go`], file: `${out}/go` },
    tokio: {
      command: [
        "cargo",
        "build",
        "--quiet",
        "--release",
        "--locked",
        "--target-dir",
        out,
        ...manifest,
      ],
      file: `${out}/release/beside`,
    },
  };
  const built: Partial<Languages> = {};
  await Promise.all(
    Object.entries(builds).map(async ([language, { command: [program = "", ...args], file }]) => {
      const { code, output } = await run(program, args).catch((error) => ({
        code: null,
        output: String(error.code ?? error),
      }));
      if (code === 0) built[language as keyof Languages] = file;
      else console.log(`skipped: ${language} cannot be built: ${output.trim()}`);
    }),
  );
  return built;
}
