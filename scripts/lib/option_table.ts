/** Makes the table of docs/options.md from the rows that the code uses. */

import { readFile } from "node:fs/promises";
import { type Place, type Row, rows } from "../../src/options/table.ts";
import { fill, filled, table } from "./markdown.ts";

const file = "docs/options.md";
const systems = { linux: "Linux", darwin: "macOS", freebsd: "FreeBSD", windows: "Windows" };

export async function fillOptionsPage(): Promise<void> {
  await fill(file, "options", optionTable());
}

/** A rule of `deno task check`. */
export async function optionsPageIsCurrent(): Promise<string[]> {
  const page = await readFile(file, "utf8");
  const current = filled(page, "options", optionTable()) === page;
  return current ? [] : [`${file} differs from the rows; run: deno task docs`];
}

function optionTable(): string {
  const columns = Object.keys(systems) as (keyof typeof systems)[];
  const lines = Object.entries(rows).map(([name, row]) => {
    const places = columns.map((system) => place(row.places[system]));
    return [`\`${name}\``, type(row), range(row), ...places];
  });
  return table(["option", "type", "range", ...Object.values(systems)], lines);
}

function type({ kind, readOnly }: Row): string {
  const word = { flag: "boolean", time: "ms", linger: "ms" }[kind as string] ?? kind;
  return readOnly ? `${word}, read-only` : word;
}

function range({ kind, min, max, ...row }: Row): string {
  const none = row.null === undefined ? "" : `, \`null\`: ${row.null}`;
  const number = (value: number) => value.toLocaleString("en-US");
  if (kind === "flag") return `\`true\`, \`false\`${none}`;
  if (kind === "name") return `${min}-${max} characters${none}`;
  return `${number(min)}${max > min ? `-${number(max)}` : ""}${none}`;
}

function place(places: readonly Place[] | undefined): string {
  if (places === undefined) return "-";
  return places.map(({ name, unit }) => `\`${name}\`${unit === undefined ? "" : ` (${unit})`}`)
    .join(", ");
}
