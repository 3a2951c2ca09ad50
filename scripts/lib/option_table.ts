/** Makes the table of docs/options.md from the rows that the code uses. */

import { readFile } from "node:fs/promises";
import { type Place, type Row, rows } from "../../src/options/table.ts";
import { table } from "./markdown.ts";

const file = "docs/options.md";
const start = "<!-- deno-fmt-ignore-start -->\n\n";
const end = "\n<!-- deno-fmt-ignore-end -->";
const systems = ["linux", "darwin", "freebsd", "windows"] as const;

/** The page as it is, and as it should be. */
export async function optionsPage(): Promise<{ file: string; text: string; wanted: string }> {
  const text = await readFile(file, "utf8");
  const from = text.indexOf(start);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`${file} has no place for the table`);
  const wanted = text.slice(0, from + start.length) + optionTable() + text.slice(to);
  return { file, text, wanted };
}

/** A rule of `deno task check`. */
export async function optionsPageIsCurrent(): Promise<string[]> {
  const { file, text, wanted } = await optionsPage();
  return text === wanted ? [] : [`${file} differs from the rows; run: deno task docs`];
}

function optionTable(): string {
  const lines = Object.entries(rows).map((
    [name, row],
  ) => [
    `\`${name}\``,
    type(row),
    range(row),
    ...systems.map((system) => place(row.places[system])),
  ]);
  const head = ["option", "type", "range", "Linux", "macOS", "FreeBSD", "Windows"];
  return table(head, lines);
}

function type({ kind, readOnly }: Row): string {
  const words = {
    flag: "boolean",
    time: "ms",
    linger: "ms",
    bytes: "bytes",
    number: "number",
    name: "name",
  };
  return readOnly ? `${words[kind]}, read-only` : words[kind];
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
