/** Formats tables in Markdown, and replaces the generated parts of pages. */

import { readFile, writeFile } from "node:fs/promises";

/** A table, one string for each line. */
export function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |\n`;
  return [head, head.map(() => "---"), ...rows].map(line).join("");
}

/** A table with a title before it and a list after it. */
export interface Section {
  title: string;
  head: string[];
  rows: string[][];
  notes?: string[];
}

export function sections(all: Section[]): string {
  return all.map(({ title, head, rows, notes = [] }) =>
    `### ${title}\n\n${table(head, rows)}\n${notes.map((note) => `- ${note}\n`).join("")}\n`
  ).join("");
}

/** A page with `text` between its two comments of that name. */
export function filled(page: string, name: string, text: string): string {
  const [before, , after] = page.split(new RegExp(`<!-- /?${name} -->\\n`));
  if (after === undefined) throw new Error(`There is no place for the ${name} in:\n${page}`);
  return `${before}<!-- ${name} -->\n\n${text}\n<!-- /${name} -->\n${after}`;
}

export async function fill(file: string, name: string, text: string): Promise<void> {
  await writeFile(file, filled(await readFile(file, "utf8"), name, text));
}

/** Formats columns of these widths for the terminal. */
export function columns(rows: string[][], widths: number[]): string {
  const line = (row: string[]) => row.map((cell, i) => cell.padEnd(widths[i]!)).join(" ").trimEnd();
  return rows.map((row) => `    ${line(row)}`).join("\n");
}
