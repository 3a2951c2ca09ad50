/** The table of docs/platforms.md: on which platforms the tests ran, how, and when. */

import { readFile, writeFile } from "node:fs/promises";
import { release } from "node:os";
import process from "node:process";
import { type Counts, format } from "./counts.ts";
import { json } from "./json.ts";
import { fill, table } from "./markdown.ts";
import { must } from "./process.ts";
import { versions } from "./runtimes.ts";
import type { Summary } from "./suite.ts";

/** The results of one target. */
interface Run {
  label: string;
  runtime: string;
  platform: string;
  how: string;
  counts: Counts;
  date: string;
}

const page = "docs/platforms.md";
const file = "docs/platforms.json";

/** Platforms on which nothing was run, and why. */
const never: readonly (readonly [runtime: string, platform: string, why: string])[] = [
  [`Deno ${versions.deno}, Bun ${versions.bun}`, "Windows x64", "do not start under Wine 8"],
  [`Node 24 and ${versions.node}`, "Windows x64", "do not start under Wine 8"],
  [`Deno ${versions.deno}, Bun ${versions.bun}`, "Linux arm64", "not tried under qemu"],
  ["all", "Linux with musl", "only the choice of the library is tested"],
  ["all", "macOS, FreeBSD", "constants and layouts come from their headers"],
  ["all", "Windows arm64, other processors", "not tried"],
];

/** Writes the results into the page. With `all`, earlier results are removed. */
export async function record(summaries: readonly Summary[], all: boolean): Promise<void> {
  const date = new Date().toISOString().slice(0, 10);
  const runs = summaries.flatMap(({ label, target, counts }): Run[] => {
    if (target === undefined || counts.passed + counts.failed === 0) return [];
    const { runtime: { name, version }, elsewhere } = target;
    const own = `${process.platform === "linux" ? "Linux" : process.platform} ${process.arch}`;
    return [{
      label,
      runtime: `${name === "node" ? "Node" : name === "bun" ? "Bun" : "Deno"} ${version}`,
      platform: elsewhere?.platform ?? own,
      how: elsewhere?.through ?? `native, kernel ${release()}`,
      counts,
      date,
    }];
  });
  const before: Run[] = all ? [] : JSON.parse(await readFile(file, "utf8").catch(() => "[]"));
  const others = before.filter(({ label }) => !runs.some((run) => run.label === label));
  const merged = [...others, ...runs].sort((a, b) => a.label.localeCompare(b.label, "en"));
  await writeFile(file, `${json(merged)}\n`);
  await fill(page, "platforms", asTable(merged));
  await must(process.execPath, ["fmt", "--quiet", page]);
}

/** A row for each runtime and platform. */
function asTable(runs: Run[]): string {
  const groups = Map.groupBy(runs, ({ runtime, platform, how }) => [runtime, platform, how].join());
  const ran = [...groups.values()].map((group) => {
    const { runtime, platform, how } = group[0]!;
    const what = group.map(({ label, counts }) => `${tested(label)}: ${format(counts)}`);
    const dates = group.map(({ date }) => date).sort();
    return [runtime, platform, how, what.join("<br>"), dates.at(-1)!];
  });
  const emulated = ([, , how]: string[]) => Number(!how!.startsWith("native"));
  ran.sort((a, b) => emulated(a) - emulated(b));
  const untried = never.map(([runtime, platform, why]) => [runtime, platform, "never", why, ""]);
  return table(["runtime", "system and processor", "how", "what ran", "date"], [
    ...ran,
    ...untried,
  ]);
}

/** What the target with this label tests: "package with koffi" for "package, node 20.20.2 with koffi". */
function tested(label: string): string {
  if (label === "package") return "the package's files, types and bundles";
  const [, kind, addition = ""] = /^(package, )?\S+ \S+(.*)$/.exec(label) ?? [];
  return `${kind === undefined ? "sources" : "package"}${addition.replace(/ on .*/, "")}`;
}
