/**
 * Checks which file imports which. Type-only imports count too, since a reader has to follow them as well.
 */

import { dirname, join } from "node:path/posix";

/** The layers, lowest first. A file may import from its own layer and from lower ones. */
const layers: readonly (readonly string[])[] = [
  [
    "src/kernel/",
    "src/brand.ts",
    "src/errors.ts",
    "src/events.ts",
    "src/check.ts",
    "src/suggest.ts",
    "src/memory.ts",
    "src/tls/codes.ts",
  ],
  ["src/tls/options.ts", "src/tls/information.ts", "src/dial/hostname.ts"],
  ["src/time/"],
  ["src/adapter.ts"],
  ["src/dial/"],
  ["src/adapters/"],
  ["src/runtime.ts"],
  ["src/options/"],
  ["src/connection/"],
  ["src/tls/"],
  ["src/dialling.ts", "src/draining.ts", "src/listener.ts", "src/process/"],
  ["src/unix.ts"],
  ["src/connect.ts", "src/listen.ts", "src/wrap.ts", "src/listen_fds.ts", "src/connector.ts"],
  ["mod.ts"],
  ["src/preload.ts"],
];

/** Text of source files, by path. */
type Sources = readonly (readonly [path: string, text: string])[];

/** Paths that each file imports from this repository. */
function importsOf(sources: Sources): Map<string, string[]> {
  return new Map(sources.map(([path, text]) => [
    path,
    Array.from(
      text.matchAll(/^(?:import|export)\b[^"';]*?(?:from\s+)?"(\.[^"]+)"/gm),
      ([, specifier]) => join(dirname(path), specifier!),
    ),
  ]));
}

/** Finds imports from higher layers, and files that are in no layer. */
export function upwardImports(sources: Sources): string[] {
  const layerOf = (path: string) =>
    layers.findIndex((layer) => layer.some((start) => path.startsWith(start)));
  return Array.from(importsOf(sources)).flatMap(([path, imports]) => {
    const layer = layerOf(path);
    if (layer < 0) return [`${path}: no layer in scripts/lib/imports.ts names it`];
    return imports.filter((other) => layerOf(other) > layer)
      .map((other) => `${path}: imports ${other}, which is above it`);
  });
}

/** Finds files that import each other in a circle. Returns a line for each circle. */
export function circles(sources: Sources): string[] {
  const imports = importsOf(sources);
  const found: string[] = [];
  const seen = new Set<string>();
  /** `way` has the files that lead to this one, each of which imports the next. */
  const visit = (path: string, way: readonly string[]): void => {
    const start = way.indexOf(path);
    if (start >= 0) found.push(`import each other in a circle: ${way.slice(start).join(", ")}`);
    if (seen.has(path)) return;
    seen.add(path);
    for (const other of imports.get(path) ?? []) visit(other, [...way, path]);
  };
  for (const path of imports.keys()) visit(path, []);
  return found;
}
