/** Draws what four options notice in four situations. */

import { patience } from "../../tests/dead_peer/comparison.ts";
import type { Result } from "../../tests/dead_peer/measure.ts";
import { svg, text } from "../lib/svg.ts";

const [left, width, line] = [210, 520, 20];
const shown = 6_000;

const x = (ms: number) => (left + width * Math.min(ms, shown) / shown).toFixed(1);

/** The colours of good results, bad results, and the end of a wait. */
function colour(situation: string, outcome: string): string {
  const alive = situation.endsWith("alive");
  if (outcome.startsWith("TimeoutError")) return "#8a6d1d";
  const gone = outcome.startsWith("DeadPeerError");
  return gone === alive ? "#c0392b" : "#2d7d46";
}

export function timelines(results: Result[], machine: string): string {
  const marks: string[] = [];
  const situations = Map.groupBy(results, ({ name }) => name.split(" | ")[0]!);
  const order = ["idle, gone", "data unacknowledged, gone", "closed window, gone"];
  let y = 44;
  for (const situation of [...order, "closed window, alive"]) {
    y += line * 1.5;
    marks.push(text(8, y, situation, `font-weight="bold"`));
    const rows = situations.get(situation)!
      .toSorted((a, b) => rank(a.name) - rank(b.name));
    for (const { name, outcome, ms } of rows) {
      y += line;
      const stroke = colour(situation, outcome);
      const ended = outcome !== "nothing";
      const label = !ended
        ? `nothing in ${patience / 1_000} s`
        : `${(ms / 1_000).toFixed(1)} s ${outcome.split(" ")[0]}`;
      const dash = ended ? "" : ` stroke-dasharray="6 4"`;
      marks.push(
        text(left - 8, y, name.split(" | ")[1]!, `text-anchor="end"`),
        `<path d="M${left} ${y - 4}H${x(ended ? ms : shown)}" stroke="${stroke}" ` +
          `stroke-width="3"${dash}/>`,
        ...ended ? [`<circle cx="${x(ms)}" cy="${y - 4}" r="5" fill="${stroke}"/>`] : [],
        text(Number(x(ended ? ms : shown)) + 10, y, label, `fill="${stroke}"`),
      );
    }
  }
  const height = y + 40;
  const ticks = [0, 1, 2, 3, 4, 5, 6].map((s) =>
    `<path d="M${x(s * 1_000)} 46V${height - 34}" stroke="${s === 3 ? "#999" : "#e4e4e4"}"/>` +
    text(x(s * 1_000), 40, `${s} s`, `text-anchor="middle"`)
  );
  return svg([left + width + 150, height], 12, [
    text(8, 18, `When does a program hear of it? Measured: ${machine}`),
    ...ticks,
    ...marks,
    text(
      8,
      height - 12,
      "green: the peer's true state; red: a dead peer unnoticed or a live one given up; brown: only our wait ended",
    ),
  ]);
}

function rank(name: string): number {
  return ["timeout", "keepAlive", "userTimeout", "deadPeerTimeout"]
    .findIndex((option) => name.includes(`| ${option}:`));
}
