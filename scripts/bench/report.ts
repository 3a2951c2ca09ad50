/** Formats measured rows. */

import { columns, sections, table } from "../lib/markdown.ts";
import type { Runtime } from "../lib/runtimes.ts";
import type { Spread } from "./measure.ts";
import type { Profiles } from "./profile.ts";
import { type Goal, reached, type Row } from "./row.ts";

export interface Table {
  name: string;
  title: string;
  /** Rows by runtime and version. */
  runtimes: Record<string, Row[]>;
}

/** The command that measured, and the machine. */
export interface Run {
  machine: string;
  command: string;
}

export interface Report extends Run {
  tables: Table[];
  profiles?: Profiles;
}

/** Describes the run that measured the numbers. */
export function lastRun({ machine, command }: Run): string {
  const partial = /--(?:only|runtime)\b/.test(command)
    ? " Tables that this command does not name are from earlier runs."
    : "";
  return `Last run: \`${command}\` on ${machine}.${partial}\n\n`;
}

function figure(value: number): string {
  const size = Math.abs(value);
  if (size >= 1_000) return Math.round(value).toLocaleString("en");
  return size >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(2);
}

function spreadText({ p25, median, p75 }: Spread): string {
  return `${median.toFixed(2)} (${p25.toFixed(2)}-${p75.toFixed(2)})`;
}

function goalText({ most, least, below }: Goal = {}): string {
  if (most !== undefined) return `<= ${most}`;
  if (least !== undefined) return `>= ${least}`;
  return below === undefined ? "" : `< ${below}`;
}

function cells(row: Row): string[] {
  const { what, against, unit, value, base, ratio, goal } = row;
  const verdict = reached(row);
  return [
    what,
    `${figure(value.median)} ${unit}`.trim(),
    against === undefined ? "" : `${against}: ${figure(base!.median)}`,
    ratio === undefined ? "" : spreadText(ratio),
    goalText(goal),
    verdict === undefined ? "" : verdict ? "yes" : "no",
  ];
}

export function print({ name, version }: Runtime, rows: Row[]): void {
  console.log(`  ${name} ${version}`);
  console.log(columns(rows.map(cells), [36, 28, 44, 20, 10, 3]));
}

const middle = "ratio, median (middle half)";

/** Formats rows as Markdown, one table for each title. */
export function markdown({ tables, ...run }: Report): string {
  const head = ["runtime", "what", "value", "beside", middle, "goal", "reached"];
  const all = tables.map(({ title, runtimes }) => ({
    title,
    head,
    rows: Object.entries(runtimes).flatMap(([runtime, rows]) =>
      rows.map((row) => [runtime, ...cells(row)])
    ),
  }));
  return lastRun(run) + sections(all);
}

/** The rows that the README shows. */
const highlights: [table: string, what: string, against: RegExp, text: string][] = [
  ["echo", "holdfast", /^raw/, "CPU of an echo round trip, beside the raw API without any limit"],
  ["limits", "holdfast", /^Promise.race/, "the same, beside `Promise.race` with a timer"],
  ["limits", "holdfast", /^AbortSignal/, "the same, beside `AbortSignal.timeout`"],
  ["bulk", "both ways", /^raw/, "bulk throughput both ways, beside the raw API"],
];

/** A table of ratios, with a column for each runtime. */
export function summary({ tables }: Report): string {
  const measured = (table: string) => tables.find(({ name }) => name === table)?.runtimes ?? {};
  const runtimes = Object.keys(measured("echo"));
  const rows = highlights.map(([table, what, against, text]) => {
    const ratios = runtimes.map((runtime) => {
      const row = measured(table)[runtime]?.find((row) =>
        row.what === what && against.test(row.against ?? "") && !row.unit.endsWith("/s of CPU")
      );
      return row?.ratio === undefined ? "" : spreadText(row.ratio);
    });
    return [text, ...ratios];
  });
  return table([middle, ...runtimes], rows);
}

/** Lists the rows that miss their goal. */
export function missed({ tables }: Pick<Report, "tables">): string[] {
  return tables.flatMap(({ name, runtimes }) =>
    Object.entries(runtimes).flatMap(([runtime, rows]) =>
      rows.filter((row) => reached(row) === false).map((row) =>
        `${name}, ${runtime}: ${cells(row).filter((cell) => cell !== "").slice(0, -1).join(", ")}`
      )
    )
  );
}

/** The same as a list in Markdown, with a link to the profile that shows whose time it is. */
export function missedMarkdown({ tables, profiles }: Report): string {
  const lines = tables.flatMap((table) => {
    const profile = profiles?.tables.find(({ name }) => name === table.name);
    const link = profile === undefined
      ? ""
      : ` ([profile](#${anchor(`Profile: ${profile.title}`)}))`;
    return missed({ tables: [table] }).map((line) => `- ${line}${link}\n`);
  });
  return lines.length === 0 ? "Every goal is reached.\n" : lines.join("");
}

/** The anchor that GitHub gives a heading. */
function anchor(heading: string): string {
  return heading.toLowerCase().replace(/[^\w\- ]/g, "").replaceAll(" ", "-");
}
