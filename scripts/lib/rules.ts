/** Rules of this project that no linter has. Each returns a list of what breaks it. */

import { glob, readFile } from "node:fs/promises";
import { circles, upwardImports } from "./imports.ts";
import versions from "../versions.json" with { type: "json" };

/** The paths and texts of the files that match a pattern. */
async function read(pattern: string): Promise<[path: string, text: string][]> {
  const paths = (await Array.fromAsync(glob(pattern))).map((path) => path.replaceAll("\\", "/"));
  return await Promise.all(paths.sort().map(async (path) => [path, await readFile(path, "utf8")]));
}

/** Finds lines of code that match, and returns their places. Comments do not count. */
function find([path, text]: [string, string], pattern: RegExp, complaint: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "));
  return code.split("\n").flatMap((line, index) =>
    pattern.test(line.replace(/\/\/.*/, "")) ? [`${path}:${index + 1}: ${complaint}`] : []
  );
}

/** Importing the package does no I/O, and `require()` and bundlers can load it. */
export async function noRuntimeImports(): Promise<string[]> {
  return [...await read("mod.ts"), ...await read("src/**/*.ts")].flatMap((file) => [
    ...find(file, /\bfrom\s+["'](?!\.)|^\s*import\s+["']/, "imports something else than src/"),
    ...find(file, /\bimport\s*\(/, "imports dynamically; use process.getBuiltinModule"),
    ...find(file, /^(?:export )?(?:(?:const|let) .*= )?await\b/, "top-level await"),
  ]);
}

/** Only one file finds out which runtime this is. An adapter may use the name of its own. */
export async function oneRuntimeDetection(): Promise<string[]> {
  const files = (await read("src/**/*.ts")).filter(
    ([path]) => path !== "src/kernel/system.ts",
  );
  const detects = /\buserAgent\b|["'](?:Deno|Bun)["'] in\b/;
  const version = /\bversions\.(?:bun|deno|node)\b|\} = .*\bversions\b/;
  return files.flatMap((file) => [
    ...find(file, detects, "detects the runtime"),
    ...file[0].includes("/adapters/") ? [] : find(file, version, "detects the runtime"),
    ...["Deno", "Bun"].filter((name) => !file[0].includes(`/adapters/${name.toLowerCase()}/`))
      .flatMap((name) =>
        find(
          file,
          new RegExp(`globalThis\\W+${name}\\b|(?<![\\w."'\`])${name}\\.\\w+\\(`),
          `uses ${name}`,
        )
      ),
  ]);
}

/** Imports go downwards only, and never in a circle. */
export async function imports(): Promise<string[]> {
  const src = [...await read("mod.ts"), ...await read("src/**/*.ts")];
  return [...upwardImports(src), ...circles(src), ...circles(await read("scripts/**/*.ts"))];
}

/** No public type is `any`. */
export async function noAnyInTypes(directory: string): Promise<string[]> {
  return (await read(`${directory}/**/*.d.ts`)).flatMap((file) =>
    find(file, /(?:[:<|&,(=]|=>)\s*any\b/, "'any' in the types that users see")
  );
}

/** Tests do not use features that look like a passed test in Deno's reports, or that the runtimes lack. */
export async function plainTests(): Promise<string[]> {
  return (await read("tests/**/*.ts")).flatMap((file) => [
    ...find(file, /\bt\.skip\(|\.todo\b|\btodo:|\bskip:\s*true\b/, "use tests/support/skip.ts"),
    ...find(
      file,
      /(?<!\.)\b(?:before|after)(?:Each)?\(|\bt\.test\(|\bdescribe\(/,
      "flat tests only",
    ),
    ...find(file, /\bonly:\s*true|\btest\.only\(/, "leaves the other tests out"),
  ]);
}

/** Commands in the documentation name the pinned version of Deno. */
export async function pinnedDeno(): Promise<string[]> {
  const files = [
    ...await read("*.md"),
    ...await read("docs/**/*.md"),
    ...await read(".ci/run"),
    ...await read(".github/workflows/*.yml"),
  ];
  return files.flatMap(([path, text]) =>
    [...text.matchAll(/\bdeno@([\d.]+\d)/g)]
      .filter(([, version]) => version !== versions.deno)
      .map(([found]) => `${path}: ${found}, but scripts/versions.json says ${versions.deno}`)
  );
}

interface DocJson {
  nodes: Record<string, { symbols: DocSymbol[] }>;
}

interface DocSymbol {
  name: string;
  declarations: { kind: string; jsDoc?: { tags?: { kind: string }[] } }[];
}

/** Every public function, class and constant has an example, which `tests/docs` runs. Types need none. */
export function examples(json: string): string[] {
  const { nodes } = JSON.parse(json) as DocJson;
  return Object.values(nodes).flatMap(({ symbols }) =>
    symbols.flatMap(({ name, declarations: [declaration] }) => {
      const { kind, jsDoc } = declaration!;
      const shown = jsDoc?.tags?.some(({ kind }) => kind === "example") ?? false;
      const isType = kind === "interface" || kind === "typeAlias";
      return shown || isType ? [] : [`${name}: no @example`];
    })
  );
}
