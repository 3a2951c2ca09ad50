/**
 * The ratios of a report as a picture.
 *
 * @module
 */

import type { Spread } from "./measure.ts";
import type { Report } from "./report.ts";
import { reached, type Row } from "./row.ts";

const [left, width, line] = [430, 420, 16];
const [from, to] = [0.1, 10];

/** Place of a ratio on the logarithmic axis. */
function x(ratio: number): number {
  const clamped = Math.min(Math.max(ratio, from), to);
  return left + width * Math.log(clamped / from) / Math.log(to / from);
}

/** Less is better everywhere: rates count as their inverse. */
function asCost({ ratio, unit }: Row): Spread {
  const { p25, median, p75 } = ratio!;
  if (!/\/s/.test(unit)) return ratio!;
  return { p25: 1 / p75, median: 1 / median, p75: 1 / p25 };
}

function text(at: number, y: number, content: string, extra = ""): string {
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${at}" y="${y}" ${extra}>${escaped}</text>`;
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
        text(
          left - 8,
          y,
          label.length > 66 ? `${label.slice(0, 65)}…` : label,
          `text-anchor="end"`,
        ),
        `<path d="M${x(p25).toFixed(1)} ${y - 4}H${
          x(p75).toFixed(1)
        }" stroke="${colour}" stroke-width="3" opacity=".4"/>`,
        `<circle cx="${x(median).toFixed(1)}" cy="${y - 4}" r="3.5" fill="${colour}"/>`,
        text(left + width + 8, y, median.toFixed(2)),
      );
    }
  }
  const height = y + 24;
  const ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10].map((ratio) =>
    `<path d="M${x(ratio).toFixed(1)} 40V${height - 16}" stroke="${
      ratio === 1 ? "#444" : "#ddd"
    }"/>` +
    text(Number(x(ratio).toFixed(1)), 34, String(ratio), `text-anchor="middle"`)
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${left + width + 60}" height="${height}" ` +
    `font-family="sans-serif" font-size="11">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    text(8, 16, `Cost beside the other side, 1 = the same, less is better. ${machine}`),
    ...ticks,
    ...marks,
    "</svg>\n",
  ].join("\n");
}
