/** Draws the ratios of a report. */

import { svg, text } from "../lib/svg.ts";
import type { Spread } from "./measure.ts";
import type { Report } from "./report.ts";
import { reached, type Row } from "./row.ts";

const [left, width, line] = [430, 420, 16];
const [from, to] = [0.1, 10];

/** The position of a ratio on the logarithmic axis. */
function x(ratio: number): string {
  const clamped = Math.min(Math.max(ratio, from), to);
  return (left + width * Math.log(clamped / from) / Math.log(to / from)).toFixed(1);
}

/** Inverts the ratios of rates, so that less is better everywhere. */
function asCost({ ratio, unit }: Row): Spread {
  const { p25, median, p75 } = ratio!;
  if (!/\/s/.test(unit)) return ratio!;
  return { p25: 1 / p75, median: 1 / median, p75: 1 / p25 };
}

export function plot({ tables, machine }: Report): string {
  const marks: string[] = [];
  let y = 44;
  for (const { title, runtimes } of tables) {
    const rows = Object.entries(runtimes).flatMap(([runtime, rows]) =>
      rows.filter(({ ratio }) => ratio !== undefined).map((row) => ({ runtime, row }))
    );
    if (rows.length === 0) continue;
    y += line * 1.6;
    marks.push(text(8, y, title, `font-weight="bold"`));
    for (const { runtime, row } of rows) {
      y += line;
      const { p25, median, p75 } = asCost(row);
      const colour = reached(row) === false ? "#c0392b" : "#1f6f8b";
      const label = `${runtime.split(" ")[0]}: ${row.what} / ${row.against}`;
      marks.push(
        text(left - 8, y, label.replace(/^(.{65}).{2,}/, "$1…"), `text-anchor="end"`),
        `<path d="M${x(p25)} ${y - 4}H${
          x(p75)
        }" stroke="${colour}" stroke-width="3" opacity=".4"/>`,
        `<circle cx="${x(median)}" cy="${y - 4}" r="3.5" fill="${colour}"/>`,
        text(left + width + 8, y, median.toFixed(2)),
      );
    }
  }
  const height = y + 24;
  const ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10].map((ratio) =>
    `<path d="M${x(ratio)} 40V${height - 16}" stroke="${ratio === 1 ? "#444" : "#ddd"}"/>` +
    text(x(ratio), 34, String(ratio), `text-anchor="middle"`)
  );
  return svg([left + width + 60, height], 11, [
    text(8, 16, `Cost beside the other side, 1 = the same, less is better. ${machine}`),
    ...ticks,
    ...marks,
  ]);
}
