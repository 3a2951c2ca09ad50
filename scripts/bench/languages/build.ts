/** Builds the programs in other languages, where their compilers are installed. */

import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { run } from "../../lib/process.ts";

const folder = "scripts/bench/languages";
const out = ".cache/languages";
const cargo = "cargo build --quiet --release --locked";
/** The command that builds each program, and its file. */
const builds: Record<keyof Languages, [command: string, file: string]> = {
  Go: [`go build -o ${out}/go ${folder}/net.go`, "go"],
  tokio: [
    `${cargo} --target-dir ${out} --manifest-path ${folder}/tokio/Cargo.toml`,
    "release/beside",
  ],
};

/** Files of the programs. */
export type Languages = Record<"Go" | "tokio", string>;

/** The programs that could be built. Prints why another could not. */
export async function buildLanguages(): Promise<Partial<Languages>> {
  await mkdir(out, { recursive: true });
  const built: Partial<Languages> = {};
  await Promise.all(
    Object.entries(builds).map(async ([language, [command, file]]) => {
      const [program = "", ...args] = command.split(" ");
      const { code, output } = await run(program, args).catch((error) => ({
        code: null,
        output: String(error.code ?? error),
      }));
      if (code === 0) built[language as keyof Languages] = resolve(out, file);
      else console.log(`skipped: ${language} cannot be built: ${output.trim()}`);
    }),
  );
  return built;
}
